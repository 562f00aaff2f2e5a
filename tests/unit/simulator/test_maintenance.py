"""Machines without a configuration: what they answer, to whom, and how they get one."""

from __future__ import annotations

from collections.abc import Callable
from ssl import DER_cert_to_PEM_cert

import grpc
import pytest
from simulator_process import Simulation, config, until

from engine.machineconfig.certificates import facts

APPLY = "machine.MachineService/ApplyConfiguration"
DISKS = "storage.StorageService/Disks"


@pytest.fixture(scope="module")
def idle(make: Callable[..., Simulation]) -> Simulation:
    """Four machines in maintenance: 1.13, 1.12, 1.13, 1.12."""
    simulation = make(4, versions="v1.13.9,v1.12.11")
    simulation.reaches("maintenance")
    return simulation


def refused(simulation: Simulation, address: str, method: str, value: dict[str, object] | None = None) -> str:
    with simulation.client(address) as client, pytest.raises(grpc.RpcError) as caught:
        client.call(method, value)
    return f"{caught.value.code().name}: {caught.value.details()}"


def test_anybody_reads_a_machine_in_maintenance_mode_of_1_13(idle: Simulation) -> None:
    with idle.client(idle.addresses[0]) as client:
        disks = client.call(DISKS)["messages"][0]["disks"]
        tag = client.call("machine.MachineService/Version")["messages"][0]["version"]["tag"]
        services = client.call("machine.MachineService/ServiceList")["messages"][0]["services"]
        request = {"namespace": "runtime", "type": "MachineStatuses.runtime.talos.dev", "id": "machine"}
        status = client.call("cosi.resource.State/Get", request)["resource"]["spec"]["yaml_spec"]
    assert (disks[0]["device_name"], disks[0]["readonly"]) == ("/dev/sda", False)
    assert tag == "v1.13.9"
    assert "apid" in {service["id"] for service in services}
    assert "stage: maintenance" in status


def test_what_is_not_for_readers_is_denied_in_maintenance_mode(idle: Simulation) -> None:
    for name in ("Bootstrap", "Reboot", "Reset", "EtcdLeaveCluster"):
        assert (
            refused(idle, idle.addresses[0], f"machine.MachineService/{name}")
            == "PERMISSION_DENIED: not authorized"
        )


def test_an_etcd_question_before_the_machine_type_is_known_is_unimplemented(idle: Simulation) -> None:
    said = refused(idle, idle.addresses[0], "machine.MachineService/EtcdStatus")
    assert said == "UNIMPLEMENTED: machine type is not set, cannot use etcd status API"


def test_the_old_maintenance_service_answers_only_its_own_list(idle: Simulation) -> None:
    old = idle.addresses[1]
    with idle.client(old) as client:
        assert client.call(DISKS)["messages"][0]["disks"]
    for name in ("Version", "ServiceList", "Hostname", "Reset"):
        said = refused(idle, old, f"machine.MachineService/{name}")
        assert said == "UNIMPLEMENTED: API is not implemented in maintenance mode"


def test_the_old_maintenance_service_knows_no_staged_mode(idle: Simulation) -> None:
    said = refused(idle, idle.addresses[1], APPLY, {"data": config("worker", "112"), "mode": "STAGED"})
    assert said == "UNIMPLEMENTED: apply configuration --mode='staged' is not supported in maintenance mode"


def test_services_of_1_13_are_unknown_to_1_12(idle: Simulation) -> None:
    said = refused(idle, idle.addresses[1], "machine.ImageService/List")
    assert said == "UNIMPLEMENTED: unknown service machine.ImageService"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("not: [yaml", "INVALID_ARGUMENT"),
        ("version: v1alpha1\nmachine:\n  type: worker\n  sort: of\n", "INVALID_ARGUMENT"),
        ("apiVersion: v1alpha1\nkind: HostnameConfig\nauto: stable\n", "doesn't contain v1alpha1 config"),
        ("", "INVALID_ARGUMENT"),
    ],
)
def test_a_configuration_that_talos_would_refuse_is_refused(idle: Simulation, text: str, said: str) -> None:
    assert said in refused(idle, idle.addresses[0], APPLY, {"data": text, "mode": "AUTO"})
    assert idle.machine(idle.addresses[0])["configured"] is False


def test_a_configuration_without_a_cluster_endpoint_is_refused_with_the_reason(idle: Simulation) -> None:
    text = config("worker").replace("endpoint: https://10.5.0.2:6443", 'endpoint: ""')
    assert "INVALID_ARGUMENT: configuration validation failed" in refused(
        idle, idle.addresses[0], APPLY, {"data": text, "mode": "AUTO"}
    )


def test_a_dry_run_changes_nothing(idle: Simulation) -> None:
    with idle.client(idle.addresses[0]) as client:
        reply = client.call(APPLY, {"data": config("controlplane"), "mode": "AUTO", "dry_run": True})
    assert reply["messages"][0]["mode_details"].startswith("Dry run summary:")
    assert idle.machine(idle.addresses[0])["configured"] is False


def test_a_configuration_for_a_disk_that_is_not_there_leads_back_to_maintenance(idle: Simulation) -> None:
    address = idle.addresses[2]
    boot = idle.machine(address)["boot_id"]
    idle.apply(address, config("controlplane").replace("disk: /dev/sda", "disk: /dev/nvme0n1"))
    until(lambda: idle.machine(address)["boot_id"] not in ("", boot), "a new boot")
    idle.reaches("maintenance", address)
    assert idle.machine(address)["installed"] is None


def test_each_boot_into_maintenance_mode_has_a_certificate_of_its_own(idle: Simulation) -> None:
    address = idle.addresses[2]
    idle.reaches("maintenance", address)
    with idle.client(address) as client:
        before = client.certificate
    idle.control(op="power-off", machine=address)
    idle.control(op="power-on", machine=address)
    idle.reaches("maintenance", address)
    with idle.client(address) as client:
        after = client.certificate
    assert before != after
    assert facts(DER_cert_to_PEM_cert(after)).server


def test_the_installed_version_is_that_of_the_installer_image(idle: Simulation) -> None:
    address = idle.addresses[3]
    idle.apply(address, config("controlplane", "112").replace("installer:v1.12.11", "installer:v1.13.4"))
    until(lambda: idle.machine(address)["services"].get("kubelet") == "Running", "kubelet")
    with idle.client(address, "os:reader", version="112") as client:
        tag = client.call("machine.MachineService/Version")["messages"][0]["version"]["tag"]
    assert tag == "v1.13.4"
