"""Machines leave a cluster that goes on: in the order that keeps quorum, and also when they are dead.

One cluster for all: three control plane machines and one worker out of six machines.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from engine.machineconfig.identity import read_credentials
from tests.sim.cluster import APPLY, LEAVE, NAME, RESET, Cluster, addresses, quickstart, started
from tests.sim.shipped import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

REMOVE = "machine.MachineService/EtcdRemoveMemberByID"
FORCE = "talos.alperen.cloud/force-delete"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with started(tmp_path_factory.mktemp("sim") / "run", machines=6) as found:
        found.apply(listing(control="123", workers="4"))
        found.ready()
        yield found


def listing(control: str, workers: str) -> dict[str, Any]:
    """The example on machines named by the last digit of their addresses."""
    document = quickstart(3, 1)
    for part, digits in (("controlPlane", control), ("worker", workers)):
        machines = [entry for digit in digits for entry in addresses(int(digit), 1)]
        document["spec"][part]["metalSpec"]["machines"] = machines
    return document


def members(cluster: Cluster) -> set[str]:
    """The last digits of the machines that have etcd data."""
    return {at[-1] for at, machine in cluster.run.machines().items() if machine["etcd_member"]}


def order(cluster: Cluster, *methods: str) -> list[tuple[str, str]]:
    """The successful calls of these methods: machine and method, in order."""
    return [
        (call["machine"], call["method"])
        for call in cluster.run.calls()
        if call["method"] in methods and call["code"] == "OK"
    ]


def test_a_control_plane_machine_that_replaces_another_joins_before_that_one_leaves(cluster: Cluster) -> None:
    cluster.apply(listing(control="125", workers="4"))
    until("the new one is configured", lambda: "127.0.1.5" in cluster.calls(APPLY))
    seen = {len(members(cluster))}
    until("the old one is gone", lambda: seen.add(len(members(cluster))) or _gone(cluster, 3))
    cluster.ready()
    assert members(cluster) == {"1", "2", "5"}
    assert seen <= {3, 4}
    assert order(cluster, LEAVE, RESET) == [("127.0.1.3", LEAVE), ("127.0.1.3", RESET)]
    talos = read_credentials(cluster.secret(f"{NAME}-talosconfig")[f"{NAME}.talosconfig"])
    assert talos.endpoints == ("127.0.1.1", "127.0.1.2", "127.0.1.5")
    assert cluster.nodes() == {f"127.0.1.{digit}" for digit in (1, 2, 4, 5)}


def _gone(cluster: Cluster, digit: int) -> bool:
    return cluster.find("TalosMachine", f"{NAME}-127.0.1.{digit}") is None


def test_a_machine_on_two_lists_stays_what_it_is_and_one_that_moves_leaves_first(cluster: Cluster) -> None:
    before = cluster.get("TalosMachine", f"{NAME}-127.0.1.4")
    resets = len(cluster.calls(RESET))
    cluster.apply(listing(control="1254", workers="4"))
    told = cluster.says("TalosControlPlane", NAME, "MachinesReady", "MachinesNotWritten")
    assert "127.0.1.4" in told["message"]
    after = cluster.get("TalosMachine", f"{NAME}-127.0.1.4")
    assert (after["metadata"]["uid"], after["spec"]) == (before["metadata"]["uid"], before["spec"])
    assert len(cluster.calls(RESET)) == resets
    cluster.apply(listing(control="1254", workers="6"))
    until("it has joined etcd", lambda: "4" in members(cluster), deadline_s=40)
    cluster.ready()
    assert cluster.calls(RESET)[resets:] == ["127.0.1.4"]
    assert members(cluster) == {"1", "2", "4", "5"}


def test_a_dead_machine_blocks_its_own_end_only_and_is_then_retired_by_the_others(cluster: Cluster) -> None:
    dead = f"{NAME}-127.0.1.2"
    cluster.run.control(op="power-off", machine="127.0.1.2")
    cluster.apply(listing(control="154", workers="6"))
    told = cluster.says("TalosMachine", dead, "Removable", "Unreachable", deadline_s=40)
    assert FORCE in told["message"]
    resets = len(cluster.calls(RESET))
    cluster.apply(listing(control="154", workers=""))
    cluster.gone("TalosMachine", f"{NAME}-127.0.1.6")
    assert cluster.calls(RESET)[resets:] == ["127.0.1.6"]
    assert cluster.find("TalosMachine", dead) is not None
    assert cluster.nodes() == {f"127.0.1.{digit}" for digit in (1, 2, 4, 5)}
    cluster.annotate("TalosMachine", dead, FORCE, "true")
    cluster.gone("TalosMachine", dead)
    cluster.ready("TalosControlPlane")
    (told_by,) = [at for at, _ in order(cluster, REMOVE)]
    assert told_by != "127.0.1.2"
    assert len(cluster.calls(RESET)) == resets + 1
    assert cluster.nodes() == {f"127.0.1.{digit}" for digit in (1, 4, 5)}


def test_a_machine_that_etcd_needs_stays_though_it_is_taken_off_and_deleted_until_etcd_is_whole(
    cluster: Cluster,
) -> None:
    needed = f"{NAME}-127.0.1.4"
    before = len(cluster.calls(RESET)), len(order(cluster, LEAVE, REMOVE))
    cluster.run.control(op="power-off", machine="127.0.1.5")
    until(
        "it is missed",
        lambda: cluster.condition("TalosControlPlane", NAME, "EtcdHealthy").get("status") == "False",
    )
    cluster.apply(listing(control="15", workers=""))
    told = cluster.says("TalosControlPlane", NAME, "MachinesReady", "MachineStays")
    assert needed in told["message"]
    cluster.delete("TalosMachine", needed)
    told = cluster.says("TalosMachine", needed, "Removable", "QuorumAtRisk")
    assert "2 healthy of 3" in told["message"]
    assert (len(cluster.calls(RESET)), len(order(cluster, LEAVE, REMOVE))) == before
    cluster.run.control(op="power-on", machine="127.0.1.5")
    cluster.gone("TalosMachine", needed, deadline_s=60)
    cluster.ready("TalosControlPlane")
    assert members(cluster) - {"2"} == {"1", "5"}  # the dead one still has its disk
    assert cluster.calls(RESET)[before[0] :] == ["127.0.1.4"]


def test_a_listed_machine_whose_object_is_deleted_is_wiped_and_installed_anew(cluster: Cluster) -> None:
    first = f"{NAME}-127.0.1.1"  # where the kubeconfig leads: another server is asked to delete its Node
    before = cluster.get("TalosMachine", first)["metadata"]["uid"]
    node = cluster.run.machines()["127.0.1.1"]["hostname"]
    resets = len(cluster.calls(RESET))
    cluster.delete("TalosMachine", first)
    until(
        "it is made anew",
        lambda: (
            (cluster.find("TalosMachine", first) or {"metadata": {"uid": before}})["metadata"]["uid"]
            != before
        ),
    )
    until(
        "it is back in etcd",
        lambda: cluster.run.machines()["127.0.1.1"]["etcd_member"] and cluster.is_ready("TalosControlPlane"),
        deadline_s=60,
    )
    assert cluster.calls(RESET)[resets:] == ["127.0.1.1"]
    notes = [event["note"] for event in cluster.events() if event["reason"] == "NodeDeleted"]
    assert any(node in note for note in notes), notes
