"""Checks of the `machine` section, network apart.

Each yields problems with paths; none changes anything. Neighbour: `validate` runs them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from engine.machineconfig.checks import Check, Problem, Situation, is_subnet, section

_TYPES: Final = ("controlplane", "init", "worker", "join", "")
_ROLES: Final = ("os:admin", "os:reader", "os:operator", "os:etcd:backup", "os:impersonator")
_DISK_TYPES: Final = ("ssd", "hdd", "nvme", "sd")
_EFFECTS: Final = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_LABEL = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")
_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_KUBELET_FIXED: Final = (
    "apiVersion", "authentication", "authorization", "cgroupRoot", "clusterDomain", "containerRuntimeEndpoint",
    "kind", "port", "rotateCertificates", "staticPodPath", "tlsCertFile", "tlsPrivateKeyFile", "systemCgroups",
)  # fmt: skip


def _type(situation: Situation) -> Iterator[Problem]:
    name = situation.machine.get("type", "")
    if name == "join":
        yield Problem("machine.type", "use worker instead of join", warning=True)
    elif name not in _TYPES:
        yield Problem("machine.type", "unknown machine type; use controlplane or worker")


def _authority(situation: Situation) -> Iterator[Problem]:
    ca, path = section(situation.machine, "ca"), "machine.ca"
    accepted = situation.machine.get("acceptedCAs")
    if "ca" not in situation.machine and not accepted:
        yield Problem(path, "an issuing authority or machine.acceptedCAs is required")
    elif not (situation.control_plane or ca.get("crt") or accepted):
        yield Problem(f"{path}.crt", "a trusted authority is required, here or in machine.acceptedCAs")
    if situation.control_plane and not ca.get("key"):
        yield Problem(f"{path}.key", "a control plane needs the issuing authority's key")
    if not situation.control_plane and ca.get("key"):
        yield Problem(f"{path}.key", "a worker may not have the authority's key")


def _persist(situation: Situation) -> Iterator[Problem]:
    if not situation.config.main.get("persist", True):
        yield Problem("persist", "must be true")


def _install(situation: Situation) -> Iterator[Problem]:
    if situation.mode != "metal" or situation.config.find("UnattendedInstallConfig"):
        return
    if "install" not in situation.machine:
        yield Problem("machine.install", "install instructions are required on bare metal")
        return
    install = section(situation.machine, "install")
    if not install.get("disk") and "diskSelector" not in install:
        yield Problem("machine.install.disk", "a disk or a diskSelector is required")
    selector = section(install, "diskSelector")
    if "name" in selector:
        yield Problem("machine.install.diskSelector.name", "disks cannot be chosen by name")
    if selector.get("type", "") not in ("", *_DISK_TYPES):
        yield Problem("machine.install.diskSelector.type", f"not one of {', '.join(_DISK_TYPES)}")
    if install.get("extraKernelArgs") and install.get("grubUseUKICmdline"):
        message = "extra kernel arguments have no effect together with grubUseUKICmdline"
        yield Problem("machine.install.extraKernelArgs", message)


def _features(situation: Situation) -> Iterator[Problem]:
    features = section(situation.machine, "features")
    access = section(features, "kubernetesTalosAPIAccess")
    if access.get("enabled") and not situation.control_plane:
        path = "machine.features.kubernetesTalosAPIAccess"
        yield Problem(path, "access to the Talos API is for control plane machines only")
    for index, role in enumerate(access.get("allowedRoles", ()) if access.get("enabled") else ()):
        if role not in _ROLES:
            path = f"machine.features.kubernetesTalosAPIAccess.allowedRoles[{index}]"
            yield Problem(path, f"not one of {', '.join(_ROLES)}")
    dns = section(features, "hostDNS")
    if situation.mode == "container" and not dns.get("enabled"):
        yield Problem("machine.features.hostDNS.enabled", "must be true in a container")
    if situation.mode == "container" and not dns.get("forwardKubeDNSToHost"):
        yield Problem("machine.features.hostDNS.forwardKubeDNSToHost", "must be true in a container")
    if dns.get("forwardKubeDNSToHost") and not dns.get("enabled"):
        yield Problem("machine.features.hostDNS", "forwardKubeDNSToHost needs enabled: true")


def _sorting(situation: Situation) -> Iterator[Problem]:
    if section(situation.machine, "features").get("nodeAddressSortAlgorithm", "") not in ("", "v1", "v2"):
        yield Problem("machine.features.nodeAddressSortAlgorithm", "not one of v1, v2")


def _extensions(situation: Situation) -> Iterator[Problem]:
    images = [entry.get("image", "") for entry in section(situation.machine, "install").get("extensions", ())]
    path = "machine.install.extensions"
    if images:
        yield Problem(path, "deprecated; choose an installer image that holds them", warning=True)
    for index, image in enumerate(images):
        if image in images[:index]:
            yield Problem(f"{path}[{index}].image", "this extension is given twice")


def _taints(situation: Situation) -> Iterator[Problem]:
    for key, text in section(situation.machine, "nodeTaints").items():
        path = f'machine.nodeTaints."{key}"'
        value, separator, effect = text.partition(":")
        yield from _label_key(path, key)
        if (effect if separator else text) not in _EFFECTS:
            yield Problem(path, f"the effect is not one of {', '.join(_EFFECTS)}")
        if separator and (len(value) > 63 or not _LABEL.fullmatch(value)):
            yield Problem(path, "not a label value: at most 63 letters, digits, '-', '_', '.'")


def _labels(situation: Situation) -> Iterator[Problem]:
    for key, value in section(situation.machine, "nodeLabels").items():
        path = f'machine.nodeLabels."{key}"'
        yield from _label_key(path, key)
        if len(value) > 63 or not _LABEL.fullmatch(value):
            yield Problem(path, "not a label value: at most 63 letters, digits, '-', '_', '.'")
    for key in section(situation.machine, "nodeAnnotations"):
        yield from _label_key(f'machine.nodeAnnotations."{key}"', key)


def _label_key(path: str, key: str) -> Iterator[Problem]:
    prefix, slash, name = key.rpartition("/")
    if (slash and (not prefix or "/" in prefix)) or len(name) > 63 or not _NAME.fullmatch(name):
        yield Problem(path, "not a key such as example.org/name")


def _kubelet(situation: Situation) -> Iterator[Problem]:
    extra = section(situation.machine, "kubelet", "extraConfig")
    for key in sorted(set(extra) & set(_KUBELET_FIXED)):
        yield Problem(f"machine.kubelet.extraConfig.{key}", "Talos sets this field itself")
    for index, text in enumerate(section(situation.machine, "kubelet", "nodeIP").get("validSubnets", ())):
        if not is_subnet(text):
            yield Problem(f"machine.kubelet.nodeIP.validSubnets[{index}]", "not a network such as 10.0.0.0/8")


def _encryption(situation: Situation) -> Iterator[Problem]:
    for name, volume in section(situation.machine, "systemDiskEncryption").items():
        path = f"machine.systemDiskEncryption.{name}"
        if not volume.get("keys"):
            yield Problem(path, "no encryption keys are given")
        yield from key_problems(volume.get("keys", ()), path)


def key_problems(keys: Iterable[Mapping[str, Any]], path: str) -> Iterator[Problem]:
    """Problems of encryption keys: a slot used twice, a key without a kind."""
    seen: set[int] = set()
    for key in keys:
        slot = key.get("slot", 0)
        if slot in seen:
            yield Problem(f"{path}.keys", f"the key slot {slot} is given twice")
        seen.add(slot)
        if not any(kind in key for kind in ("static", "nodeID", "kms", "tpm")):
            yield Problem(f"{path}.keys", f"the key of slot {slot} is of no kind (static, nodeID, kms, tpm)")
        for register in section(key, "tpm", "options").get("pcrs", ()):
            if not 0 <= register <= 23:
                yield Problem(f"{path}.keys", f"the TPM has no PCR {register}, only 0 to 23")


def _disks(situation: Situation) -> Iterator[Problem]:
    for index, disk in enumerate(situation.machine.get("disks", ())):
        partitions = disk.get("partitions", ())
        if any(not partition.get("size") for partition in partitions[:-1]):
            path = f"machine.disks[{index}].partitions"
            yield Problem(path, "only the last partition may fill the disk (have no size)")


def _others(situation: Situation) -> Iterator[Problem]:
    for index, target in enumerate(section(situation.machine, "logging").get("destinations", ())):
        path, endpoint = f"machine.logging.destinations[{index}]", urlsplit(target.get("endpoint", ""))
        if not target.get("endpoint"):
            yield Problem(f"{path}.endpoint", "required")
        elif endpoint.scheme not in ("tcp", "udp") or not endpoint.hostname:
            yield Problem(f"{path}.endpoint", "must begin with tcp:// or udp:// and name a host")
        if target.get("format") != "json_lines":
            yield Problem(f"{path}.format", "must be json_lines")


MACHINE_CHECKS: Final[tuple[Check, ...]] = (
    _type, _authority, _persist, _install, _extensions, _features, _sorting, _labels, _taints, _kubelet,
    _encryption, _disks, _others,
)  # fmt: skip
