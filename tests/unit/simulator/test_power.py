"""Reboot, reset, shutdown, upgrades: what happens to connections, boots and disks."""

from __future__ import annotations

from collections.abc import Callable

import grpc
import pytest
from simulator_process import Simulation, config, until

SERVICE = "machine.MachineService/"


@pytest.fixture(scope="module")
def pair(make: Callable[..., Simulation]) -> Simulation:
    """A control plane machine and a worker, ready."""
    simulation = make(2, speed=40)
    simulation.bring_up(workers=1)
    return simulation


@pytest.fixture
def own(pair: Simulation) -> Simulation:
    """The pair again as it was before the test before, but for versions."""
    worker = pair.addresses[1]
    pair.control(op="power-on", machine="*")
    until(lambda: pair.machine(worker)["stage"] in ("maintenance", "running"), "the worker")
    if not pair.machine(worker)["configured"]:
        pair.apply(worker, config("worker"))
    pair.reaches("running", ready=True)
    return pair


def test_a_reboot_drops_connections_and_brings_the_machine_back_with_a_new_boot_id(own: Simulation) -> None:
    address = own.addresses[0]
    boot = own.machine(address)["boot_id"]
    with own.admin(address) as client:
        read = list(client.stream(SERVICE + "Read", {"path": "/proc/sys/kernel/random/boot_id"}))
        assert read[0].bytes.decode().strip() == boot
        watching = client.stream(SERVICE + "Events")
        next(watching)
        assert client.call(SERVICE + "Reboot")["messages"][0]["actor_id"]
        with pytest.raises(grpc.RpcError) as caught:
            list(watching)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    until(lambda: own.machine(address)["boot_id"] not in ("", boot), "a new boot")
    own.reaches("running", ready=True)


def test_a_reset_wipes_the_disk_and_ends_in_maintenance_mode(own: Simulation) -> None:
    address = own.addresses[1]
    before = own.machine(address)
    with own.admin(address) as client:
        client.call(SERVICE + "Reset", {"graceful": False, "reboot": True})
    own.reaches("maintenance", address)
    after = own.machine(address)
    assert (after["installed"], after["configured"]) == (None, False)
    assert after["hostname"] != before["hostname"]
    own.apply(address, config("worker"))
    own.reaches("running", address, ready=True)


def test_a_graceful_reset_leaves_etcd_first(make: Callable[..., Simulation]) -> None:
    simulation = make(3, speed=40)
    simulation.bring_up()
    with simulation.admin(simulation.addresses[2]) as client:
        client.call(SERVICE + "Reset", {"graceful": True, "reboot": True})
    simulation.reaches("maintenance", simulation.addresses[2])
    with simulation.admin(simulation.addresses[0]) as client:
        assert len(client.call(SERVICE + "EtcdMemberList")["messages"][0]["members"]) == 2


def test_a_reset_of_one_partition_keeps_the_installed_system(own: Simulation) -> None:
    address = own.addresses[1]
    with own.admin(address) as client:
        partitions = [{"label": "STATE", "wipe": True}]
        client.call(SERVICE + "Reset", {"reboot": True, "system_partitions_to_wipe": partitions})
    own.reaches("maintenance", address)
    assert own.machine(address)["installed"] == "v1.13.9"


def test_a_shutdown_turns_the_machine_off(own: Simulation) -> None:
    with own.admin(own.addresses[1]) as client:
        client.call(SERVICE + "Shutdown")
    until(lambda: not own.machine(own.addresses[1])["powered"], "power off")
    with pytest.raises(ConnectionRefusedError):
        own.admin(own.addresses[1])


def test_the_legacy_upgrade_reboots_into_the_new_version(own: Simulation) -> None:
    address = own.addresses[1]
    with own.admin(address) as client:
        reply = client.call(SERVICE + "Upgrade", {"image": "ghcr.io/siderolabs/installer:v1.13.10"})
    assert reply["messages"][0]["ack"] == "Upgrade request received"
    until(lambda: own.machine(address)["version"] == "v1.13.10", "the new version")
    own.reaches("running", ready=True)


def test_the_streaming_upgrade_installs_and_waits_for_the_reboot(own: Simulation) -> None:
    address, image = own.addresses[1], "ghcr.io/siderolabs/installer:v1.13.11"
    with own.admin(address) as client:
        pulled = list(client.stream("machine.ImageService/Pull", {"image_ref": image}))[-1].name
        progress = list(client.stream("machine.LifecycleService/Upgrade", {"source": {"image_name": pulled}}))
        assert progress[-1].progress.exit_code == 0
        assert own.machine(address)["version"] != "v1.13.11"
        assert [item.name for item in client.stream("machine.ImageService/List")] == [image]
        client.call(SERVICE + "Reboot")
    until(lambda: own.machine(address)["version"] == "v1.13.11", "the new version")


def test_only_the_kubelet_restarts_by_api(own: Simulation) -> None:
    with own.admin(own.addresses[0]) as client:
        reply = client.call(SERVICE + "ServiceRestart", {"id": "kubelet"})
        assert reply["messages"][0]["resp"] == 'Service "kubelet" restarted'
        with pytest.raises(grpc.RpcError) as caught:
            client.call(SERVICE + "ServiceRestart", {"id": "etcd"})
    assert caught.value.details() == 'service "etcd" doesn\'t support restart operation via API'
