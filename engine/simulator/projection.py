"""A machine's state as COSI resources: pure functions from a Machine to specs.

Each spec is shaped like its protobuf message (talos-api 1.6), enums by name; which type has which message and namespace is the data of `engine.protocol`. Neighbours: `publication`
publishes what is computed here, `api.cosi` encodes it; `membership` has what a cluster shares.
"""

from __future__ import annotations

from typing import Final

from engine.simulator.hardware import BlockDevice
from engine.simulator.machine import Machine
from engine.simulator.resources import Name, Spec
from engine.simulator.status import PODS, Unmet

PARTITIONS: Final = ("EFI", "BIOS", "BOOT", "META", "STATE", "EPHEMERAL")


def resources_of(machine: Machine, unmet: list[Unmet]) -> dict[Name, Spec]:
    """Every resource of the machine but those it shares with its cluster."""
    found: dict[Name, Spec] = {
        ("MachineStatuses.runtime.talos.dev", "machine"): _status(machine, unmet),
        ("MachineTypes.config.talos.dev", "machine-type"): {"machine_type": _machine_type(machine)},
        ("Versions.runtime.talos.dev", "version"): {"version": machine.version},
        ("BootIDs.runtime.talos.dev", "boot-id"): {"boot_id": machine.boot_id},
        ("PlatformMetadatas.talos.dev", "platformmetadata"): {
            "platform": "metal",
            "hostname": machine.hostname,
        },
        ("HostnameStatuses.net.talos.dev", "hostname"): {"hostname": machine.hostname},
        ("NetworkStatuses.net.talos.dev", "status"): dict.fromkeys(
            ("address_ready", "connectivity_ready", "hostname_ready", "etc_files_ready"), machine.network_up
        ),
        ("TimeStatuses.v1alpha1.talos.dev", "node"): {"synced": True, "epoch": 1},
    }
    if machine.network_up:
        addresses = {"addresses": [f"{machine.address}/{64 if ':' in machine.address else 24}"]}
        for name in ("default", "current", "accumulative", "routed"):
            found["NodeAddresses.net.talos.dev", name] = addresses
    found.update(_disks(machine))
    found.update(_services(machine))
    for key, value in machine.disk.meta.items():
        found["MetaKeys.runtime.talos.dev", f"{key:#04x}"] = {"value": value}
    if machine.config is not None:
        found.update(_configured(machine))
    return found


def _status(machine: Machine, unmet: list[Unmet]) -> Spec:
    stage = "MACHINE_STAGE_" + machine.stage.upper().replace(" ", "_")
    conditions = [{"name": name, "reason": reason} for name, reason in unmet]
    return {"stage": stage, "status": {"ready": not unmet, "unmet_conditions": conditions}}


def _machine_type(machine: Machine) -> str:
    if machine.config is None:
        return "UNKNOWN"
    return "CONTROL_PLANE" if machine.config.control_plane else "WORKER"


def _disks(machine: Machine) -> dict[Name, Spec]:
    found: dict[Name, Spec] = {}
    for disk in machine.disks:
        found["Disks.block.talos.dev", disk.name] = _disk(disk)
        volume = {"dev_path": disk.path, "size": disk.size, "type": "disk"}
        if disk.boot:
            label = "TALOS_" + machine.medium.upper().replace(".", "_")
            volume |= {"name": "iso9660", "label": label}
        elif disk is machine.system_disk:
            volume |= {"name": "gpt"}
        found["DiscoveredVolumes.block.talos.dev", disk.name] = volume
    system = machine.system_disk
    if system is not None:
        found["SystemDisks.block.talos.dev", "system-disk"] = {
            "disk_id": system.name,
            "dev_path": system.path,
        }
        for number, label in enumerate(PARTITIONS, 1):
            name = system.partition(number)
            found["DiscoveredVolumes.block.talos.dev", name] = {
                "dev_path": f"/dev/{name}",
                "type": "partition",
                "parent": system.name,
                "partition_index": number,
                "partition_label": label,
            }
    return found


def _disk(disk: BlockDevice) -> Spec:
    return {
        "size": disk.size,
        "io_size": 512,
        "sector_size": 512,
        "readonly": disk.readonly,
        "model": disk.model,
        "serial": disk.serial,
        "bus_path": disk.bus_path,
        "rotational": disk.kind == "HDD",
        "cdrom": disk.kind == "CD",
        "dev_path": disk.path,
        "transport": "nvme" if disk.kind == "NVME" else "virtio",
    }


def _services(machine: Machine) -> dict[Name, Spec]:
    return {
        ("Services.v1alpha1.talos.dev", service.id): {
            "running": service.running,
            "healthy": service.healthy is True,
            "unknown": service.healthy is None,
        }
        for service in machine.services.all()
    }


def _configured(machine: Machine) -> dict[Name, Spec]:
    config = machine.config
    assert config is not None
    found: dict[Name, Spec] = {
        ("MachineConfigs.config.talos.dev", "v1alpha1"): {"yaml_marshalled": config.text.encode()},
        ("MachineConfigs.config.talos.dev", "persistent"): {
            "yaml_marshalled": (machine.disk.config or config.text).encode()
        },
        ("Identities.cluster.talos.dev", "local"): {"node_id": machine.disk.identity},
        ("Infos.cluster.talos.dev", "current"): {
            "cluster_id": config.cluster_id,
            "cluster_name": config.cluster_name,
        },
        ("Nodenames.kubernetes.talos.dev", "nodename"): {"nodename": machine.hostname},
    }
    if machine.services.is_running("kubelet"):
        found["KubeletSpecs.kubernetes.talos.dev", "kubelet"] = {
            "image": config.kubelet_image,
            "expected_nodename": machine.hostname,
        }
    if machine.node_ready:
        found["NodeStatuses.kubernetes.talos.dev", machine.hostname] = {
            "nodename": machine.hostname,
            "node_ready": True,
        }
    if machine.disk.etcd and machine.services.is_running("etcd"):
        found["EtcdMembers.etcd.talos.dev", "local"] = {"member_id": f"{machine.disk.etcd[1]:016x}"}
    if machine.static_pods:
        for pod in PODS:
            found["StaticPodStatuses.kubernetes.talos.dev", f"kube-system/{pod}-{machine.hostname}"] = {
                "pod_status": {"phase": "Running"}
            }
    return found
