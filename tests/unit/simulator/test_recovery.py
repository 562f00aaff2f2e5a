"""A cluster that lost all its etcd comes back from a snapshot, or says in Talos's words why not."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from simulator_process import Simulation, until

from engine.etcdfile.verify import SnapshotFacts, verify_file

BOOTSTRAP = "machine.MachineService/Bootstrap"
RECOVER = "machine.MachineService/EtcdRecover"
SNAPSHOT = "machine.MachineService/EtcdSnapshot"
RESET = "machine.MachineService/Reset"
EPHEMERAL = {
    "graceful": False,
    "reboot": True,
    "system_partitions_to_wipe": [{"label": "EPHEMERAL", "wipe": True}],
}


@pytest.fixture
def own(make: Callable[..., Simulation]) -> Simulation:
    """Three control plane machines, ready, with a key in etcd, for one test alone."""
    simulation = make(3, speed=40)
    simulation.bring_up()
    simulation.control(op="put", machine=simulation.addresses[0], key="/colour", value="blue")
    return simulation


def snapshot(simulation: Simulation, address: str, role: str = "os:etcd:backup") -> bytes:
    with simulation.client(address, role) as client:
        return b"".join(message.bytes for message in client.stream(SNAPSHOT))


def facts(whole: bytes, folder: Path) -> SnapshotFacts:
    path = folder / "snapshot.db"
    path.write_bytes(whole)
    return verify_file(path)


def upload(simulation: Simulation, address: str, whole: bytes) -> None:
    pieces: Iterator[dict[str, Any]] = (
        {"bytes": whole[start : start + 32768]} for start in range(0, len(whole), 32768)
    )
    with simulation.admin(address) as client:
        client.upload(RECOVER, pieces)


def recover(simulation: Simulation, address: str, **request: Any) -> None:
    with simulation.admin(address) as client:
        client.call(BOOTSTRAP, {"recover_etcd": True, **request})


def lose_everything(simulation: Simulation) -> None:
    """Wipe every etcd; once more where a member has joined those again that were not wiped yet."""

    def all_empty() -> bool:
        states = {address: etcd(simulation, address) for address in simulation.addresses}
        for address in (one for one, state in states.items() if state in ("Running", "Failed")):
            with simulation.admin(address) as client:
                client.call(RESET, EPHEMERAL)
        return all(state == "Preparing" for state in states.values())

    until(all_empty, "empty etcds")


def etcd(simulation: Simulation, address: str) -> str:
    return str(simulation.machine(address)["services"].get("etcd", ""))


def etcd_message(simulation: Simulation, address: str) -> str:
    with simulation.admin(address) as client:
        services = client.message("machine.MachineService/ServiceList").messages[0].services
    return next(str(service.events.events[-1].msg) for service in services if service.id == "etcd")


def refused(simulation: Simulation, address: str, **request: Any) -> str:
    with pytest.raises(grpc.RpcError) as caught:
        recover(simulation, address, **request)
    return f"{caught.value.code().name}: {caught.value.details()}"


def test_a_wiped_cluster_has_the_state_of_the_snapshot_again(own: Simulation) -> None:
    first = own.addresses[0]
    before = own.machine(first)["etcd"]
    whole = snapshot(own, own.addresses[1])
    own.control(op="put", machine=first, key="/colour", value="red")
    lose_everything(own)
    upload(own, first, whole)
    recover(own, first)
    own.reaches("running", ready=True)
    for address in own.addresses:
        found = own.machine(address)["etcd"]
        assert found["keys"] == {"/colour": "blue"}
        assert found["restored_from"] == before["cluster"] != found["cluster"]
        assert found["revision"] > before["revision"]
    assert refused(own, first) == "ALREADY_EXISTS: etcd data directory is not empty"


def test_an_uploaded_snapshot_outlives_the_simulator_and_a_reset_takes_it_away(own: Simulation) -> None:
    first, second, _ = own.addresses
    whole = snapshot(own, first)
    lose_everything(own)
    upload(own, first, whole)
    upload(own, second, whole)
    own.kill()
    own.start()
    until(lambda: etcd(own, first) == etcd(own, second) == "Preparing", "etcd waits again")
    with own.admin(second) as client:
        client.call(RESET, EPHEMERAL)
    until(lambda: etcd(own, second) != "Preparing", "the reset")
    until(lambda: etcd(own, second) == "Preparing", "after the reset")
    recover(own, second)
    until(lambda: etcd(own, second) == "Failed", "nothing to recover from")
    assert etcd_message(own, second).startswith("Failed to run pre stage: error verifying snapshot: stat ")
    recover(own, first)
    own.reaches("running", first, ready=True)
    assert own.machine(first)["etcd"]["keys"] == {"/colour": "blue"}


@pytest.mark.parametrize("spoilt", ["digest", "trailer"])
def test_a_spoilt_snapshot_leaves_etcd_failed_and_its_directory_full_until_a_reset(
    own: Simulation, spoilt: str
) -> None:
    first = own.addresses[0]
    whole = bytearray(snapshot(own, first))
    if spoilt == "digest":
        whole[len(whole) // 2] ^= 1
    else:
        del whole[-32:]
    lose_everything(own)
    upload(own, first, bytes(whole))
    recover(own, first)
    until(lambda: etcd(own, first) == "Failed", "the recovery fails")
    said = etcd_message(own, first)
    assert said.startswith("Failed to run pre stage: error recovering from the snapshot: ")
    assert ("expected sha256 [" if spoilt == "digest" else "snapshot missing hash") in said
    assert refused(own, first) == "ALREADY_EXISTS: etcd data directory is not empty"
    with own.admin(first) as client:
        client.call(RESET, EPHEMERAL)
    until(lambda: etcd(own, first) == "Preparing", "an empty etcd again")
    upload(own, first, bytes(whole))
    recover(own, first, recover_skip_hash_check=True)
    own.reaches("running", first, ready=True)
    assert own.machine(first)["etcd"]["keys"] == {"/colour": "blue"}


def test_only_a_control_plane_machine_and_an_administrator_can_recover(cluster: Simulation) -> None:
    worker = cluster.addresses[-1]
    with pytest.raises(grpc.RpcError) as caught:
        upload(cluster, worker, b"x")
    assert caught.value.details() == "etcd recover is only available on control plane nodes"
    with (
        cluster.client(cluster.addresses[0], "os:operator") as client,
        pytest.raises(grpc.RpcError) as caught,
    ):
        client.upload(RECOVER, iter([{"bytes": b"x"}]))
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
    with pytest.raises(grpc.RpcError) as caught:
        snapshot(cluster, cluster.addresses[0], "os:reader")
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED


def test_a_snapshot_has_the_ordered_size_and_the_newest_revision(own: Simulation, tmp_path: Path) -> None:
    first = own.addresses[0]
    for size in (8 << 20, 3 << 20):
        own.control(op="database", machine=first, bytes=size)
        found = facts(snapshot(own, first), tmp_path)
        assert found.size == size + 32
        assert found.revision == own.machine(first)["etcd"]["revision"]
        assert found.members == tuple(
            sorted(f"{int(own.machine(at)['etcd_member'], 16):x}" for at in own.addresses)
        )
        own.control(op="put", machine=first, key="/shape", value=str(size))


@pytest.mark.parametrize("how", ["cut", "end", "short", "corrupt"])
def test_a_snapshot_that_is_spoilt_on_its_way_does_not_verify(own: Simulation, how: str) -> None:
    first = own.addresses[0]
    own.control(op="stream", method=SNAPSHOT, how=how, bytes=5 if how == "short" else 300_000)
    with own.admin(first) as client:
        parts: list[bytes] = []
        try:
            parts.extend(message.bytes for message in client.stream(SNAPSHOT))
            ended = "OK"
        except grpc.RpcError as error:
            ended = error.code().name
    whole = b"".join(parts)
    assert ended == ("UNAVAILABLE" if how == "cut" else "OK")
    assert len(whole) == {"cut": 300_000, "end": 300_000}.get(how, (2 << 20) + (27 if how == "short" else 32))
    assert hashlib.sha256(whole[:-32]).digest() != whole[-32:]
    after = snapshot(own, first)
    assert hashlib.sha256(after[:-32]).digest() == after[-32:]


def test_a_snapshot_may_come_slowly_or_stop_without_a_word(own: Simulation) -> None:
    first = own.addresses[0]
    own.control(op="stream", method=SNAPSHOT, how="silent", bytes=4096)
    with own.admin(first) as client, pytest.raises(grpc.RpcError) as caught:
        list(client.stream(SNAPSHOT, timeout=1))
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    own.control(op="stream", method=SNAPSHOT, how="slow", rate=1 << 16)
    with own.admin(first) as client:
        parts: list[bytes] = []
        with pytest.raises(grpc.RpcError):
            parts.extend(message.bytes for message in client.stream(SNAPSHOT, timeout=1))
    assert 0 < len(b"".join(parts)) < 1 << 18


def test_an_upload_that_is_cut_leaves_nothing_to_recover_from(own: Simulation) -> None:
    first = own.addresses[0]
    whole = snapshot(own, first)
    lose_everything(own)
    own.control(op="stream", method=RECOVER, how="cut", bytes=500_000)
    with pytest.raises(grpc.RpcError):
        upload(own, first, whole)
    recover(own, first)
    until(lambda: etcd(own, first) == "Failed", "nothing to recover from")
    upload(own, first, whole)
    recover(own, first)
    own.reaches("running", first, ready=True)
