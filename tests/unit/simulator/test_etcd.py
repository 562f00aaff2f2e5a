"""etcd across the machines of a cluster: bootstrap guards, joining, quorum, leaving, snapshots."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import grpc
import pytest
from simulator_process import Simulation, config, until

BOOTSTRAP = "machine.MachineService/Bootstrap"
MEMBERS = "machine.MachineService/EtcdMemberList"
STATUS = "machine.MachineService/EtcdStatus"


@pytest.fixture
def own(make: Callable[..., Simulation]) -> Simulation:
    """Three control plane machines, ready, for one test alone."""
    simulation = make(3, speed=40)
    simulation.bring_up()
    return simulation


def refused(simulation: Simulation, address: str, method: str, value: dict[str, object] | None = None) -> str:
    with simulation.admin(address) as client, pytest.raises(grpc.RpcError) as caught:
        client.call(method, value)
    return f"{caught.value.code().name}: {caught.value.details()}"


def status(simulation: Simulation, address: str) -> dict[str, int]:
    with simulation.admin(address) as client:
        return client.call(STATUS)["messages"][0]["member_status"]  # type: ignore[no-any-return]


def members(simulation: Simulation, address: str) -> list[dict[str, object]]:
    with simulation.admin(address) as client:
        return client.call(MEMBERS)["messages"][0]["members"]  # type: ignore[no-any-return]


def test_bootstrap_is_refused_until_the_runtime_is_there_and_when_it_was_done(
    make: Callable[..., Simulation],
) -> None:
    simulation = make(1, speed=2)
    address = simulation.addresses[0]
    simulation.apply(address, config("controlplane"))
    until(lambda: simulation.machine(address)["installed"], "the system on the disk")
    simulation.control(op="speed", factor=0.2)  # seconds lie between API and runtime, busy as we may be
    until(
        lambda: simulation.machine(address)["services"].get("apid") == "Running",
        "apid of the installed system",
    )
    assert refused(simulation, address, BOOTSTRAP) == "FAILED_PRECONDITION: bootstrap is not available yet"
    simulation.control(op="speed", factor=2)
    until(lambda: simulation.machine(address)["services"].get("cri") == "Running", "cri")
    assert simulation.machine(address)["stage"] == "booting"
    with simulation.admin(address) as client:
        client.call(BOOTSTRAP)
    assert refused(simulation, address, BOOTSTRAP) == "ALREADY_EXISTS: etcd data directory is not empty"


def test_a_mutating_call_is_listed_with_the_members_that_ran_when_it_came(own: Simulation) -> None:
    first, second, _ = own.addresses
    own.control(op="count")
    for address in (first, second):
        with own.admin(address) as client:
            client.call("machine.MachineService/EtcdForfeitLeadership")
        own.control(op="silence", machine=first)
    own.control(op="heal", machine=first)
    listed = [one["etcd"] for one in own.control(op="mutations")["mutations"]]
    assert listed == [{"voters": 3, "running": 3, "own": 1}, {"voters": 3, "running": 2, "own": 1}]


def test_the_machines_live_as_fast_as_ordered(make: Callable[..., Simulation]) -> None:
    simulation = make(1, speed=40)
    address = simulation.addresses[0]
    assert not simulation.control(op="speed", factor=0)["ok"]

    def is_up() -> bool:
        return bool(simulation.machine(address)["services"].get("apid") == "Running")

    simulation.apply(address, config("controlplane"))
    until(is_up, "the first start")
    simulation.control(op="speed", factor=0.001)
    simulation.control(op="power-off", machine=address)
    until(lambda: not is_up(), "the power is off")
    simulation.control(op="power-on", machine=address)
    with pytest.raises(AssertionError):
        until(is_up, "a slow start", seconds=1)
    simulation.control(op="speed", factor=40)
    simulation.control(op="power-off", machine=address)
    simulation.control(op="power-on", machine=address)
    until(is_up, "a fast start")


def test_etcd_calls_on_a_worker_are_unimplemented(cluster: Simulation) -> None:
    worker = cluster.addresses[-1]
    assert (
        refused(cluster, worker, BOOTSTRAP)
        == "UNIMPLEMENTED: bootstrap is only available on control plane nodes"
    )
    assert (
        refused(cluster, worker, STATUS)
        == "UNIMPLEMENTED: etcd status is only available on control plane nodes"
    )


def test_all_members_agree_on_leader_and_members(cluster: Simulation) -> None:
    controls = cluster.addresses[:3]
    assert len({status(cluster, address)["leader"] for address in controls}) == 1
    seen = [members(cluster, address) for address in controls]
    assert seen[0] == seen[1] == seen[2]
    assert {f"{member['id']:016x}" for member in seen[0]} == {
        cluster.machine(address)["etcd_member"] for address in controls
    }


def test_a_snapshot_comes_in_messages_of_1_kib_and_ends_with_its_digest(cluster: Simulation) -> None:
    with cluster.client(cluster.addresses[0], "os:etcd:backup") as client:
        parts = [message.bytes for message in client.stream("machine.MachineService/EtcdSnapshot")]
    assert {len(part) for part in parts[:-1]} == {1024}
    whole = b"".join(parts)
    assert len(whole) % 512 == 32
    assert hashlib.sha256(whole[:-32]).digest() == whole[-32:]


def test_without_a_majority_etcd_is_unhealthy_and_with_one_again_it_recovers(own: Simulation) -> None:
    first, second, third = own.addresses
    own.control(op="power-off", machine=second)
    own.control(op="power-off", machine=third)
    until(lambda: not own.machine(first)["ready"], "etcd is unhealthy")
    assert status(own, first)["errors"] == ["etcdserver: no leader"]
    assert refused(own, first, MEMBERS) == "UNKNOWN: etcdserver: no leader"
    own.control(op="power-on", machine=second)
    own.reaches("running", first, second, ready=True)
    assert status(own, first)["leader"] != 0
    assert len(members(own, first)) == 3


def test_leadership_moves_when_it_is_forfeited_and_when_the_leader_dies(own: Simulation) -> None:
    first = own.addresses[0]
    ids = {address: status(own, address)["member_id"] for address in own.addresses}
    leader = next(address for address in own.addresses if ids[address] == status(own, first)["leader"])
    term = status(own, first)["raft_term"]
    with own.admin(leader) as client:
        name = client.call("machine.MachineService/EtcdForfeitLeadership")["messages"][0]["member"]
    successor = next(address for address in own.addresses if own.machine(address)["hostname"] == name)
    assert successor != leader
    own.control(op="power-off", machine=successor)
    other = next(address for address in own.addresses if address != successor)
    assert status(own, other)["leader"] not in (0, ids[successor])
    assert status(own, other)["raft_term"] > term


def test_a_removed_member_fails_and_a_member_that_left_is_gone(own: Simulation) -> None:
    first, second, third = own.addresses
    removed = status(own, third)["member_id"]
    with own.admin(first) as client:
        client.call("machine.MachineService/EtcdRemoveMemberByID", {"member_id": removed})
    assert own.machine(third)["services"]["etcd"] == "Failed"
    assert own.machine(third)["ready"] is False
    with own.admin(second) as client:
        client.call("machine.MachineService/EtcdLeaveCluster")
    assert [member["hostname"] for member in members(own, first)] == [own.machine(first)["hostname"]]
    said = refused(own, first, "machine.MachineService/EtcdRemoveMemberByID", {"member_id": removed})
    assert said == "NOT_FOUND: etcdserver: member not found"
    said = refused(own, first, "machine.MachineService/EtcdForfeitLeadership")
    assert said.endswith("cannot forfeit leadership, only one member")


def test_an_alarm_is_listed_until_it_is_disarmed(cluster: Simulation) -> None:
    cluster.control(op="alarm", machine=cluster.addresses[1], alarm="NOSPACE")
    with cluster.admin(cluster.addresses[0]) as client:
        alarms = client.call("machine.MachineService/EtcdAlarmList")["messages"][0]["member_alarms"]
        client.call("machine.MachineService/EtcdAlarmDisarm")
        after = client.call("machine.MachineService/EtcdAlarmList")["messages"][0]["member_alarms"]
    assert [alarm["alarm"] for alarm in alarms] == ["NOSPACE"]
    assert after == []
