"""A small cluster: taking a running one over, leaving it running, and the end of a silent one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sim.cluster import APPLY, BOOTSTRAP, MODE, NAME, RESET, Cluster, quickstart, started
from tests.sim.shipped import until
from tests.sim.test_single_objects import at, control_plane

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

NODE, WORKER = "127.0.1.1", "127.0.1.4"
MACHINE = f"{NAME}-{NODE}"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """The example on one control plane machine and one worker, Ready."""
    with started(tmp_path / "run", machines=4) as found:
        found.apply(quickstart(1, 1))
        found.ready()
        yield found


def _own_text(cluster: Cluster, address: str) -> str:
    """The configuration of a node without the frame that the API puts around it."""
    text = cluster.configuration(address)
    return text[text.index("version: v1alpha1") :]


def _keep(cluster: Cluster, key: str, text: str) -> dict[str, str]:
    """A ConfigMap of this text, and the reference to it."""
    name = key.removesuffix(".yaml")
    data = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {key: text}}
    cluster.apply(data)
    return {"name": name, "key": key}


def _take_over(cluster: Cluster, control: dict[str, str], worker: dict[str, str]) -> None:
    endpoint = f"https://{NODE}:6443"
    cluster.apply(control_plane("taken", at(NODE), mode="import", configRef=control, endpoint=endpoint))
    pool = control_plane("taken-pool", at(WORKER), mode="import", configRef=worker)
    pool["kind"] = "TalosWorker"
    pool["spec"]["controlPlaneRef"] = {"name": "taken"}
    cluster.apply(pool)
    cluster.ready("TalosControlPlane", "taken")
    cluster.ready("TalosWorker", "taken-pool")


def test_preserved_machines_run_on_are_taken_over_as_they_are_and_are_wiped_workers_first_when_deleted(
    cluster: Cluster,
) -> None:
    boots = {at: machine["boot_id"] for at, machine in cluster.run.machines().items()}
    control = _keep(cluster, "controlplane.yaml", _own_text(cluster, NODE))
    worker = _keep(cluster, "worker.yaml", _own_text(cluster, WORKER))
    kept = quickstart(1, 1)
    for part in kept["spec"].values():
        part["deletionPolicy"] = "preserve"
    cluster.apply(kept)
    cluster.ready()
    cluster.delete("TalosCluster", NAME)
    cluster.gone("TalosCluster", NAME)
    assert cluster.calls(RESET) == []

    before = cluster.calls(APPLY), cluster.calls(BOOTSTRAP)
    _take_over(cluster, control, worker)
    for kind, name, state in (
        ("TalosControlPlane", "taken", "Ready"),
        ("TalosWorker", "taken-pool", "Ready"),
        ("TalosMachine", f"taken-{NODE}", "Available"),
        ("TalosMachine", f"taken-pool-{WORKER}", "Available"),
    ):
        status = cluster.get(kind, name)["status"]
        assert (status["imported"], status["state"]) == (True, state), name
    cluster.annotate("TalosControlPlane", "taken", MODE, None)
    for address in (NODE, WORKER):
        with cluster.machine_api(address, "taken") as api:
            assert api.call("machine.MachineService/Version")["messages"][0]["version"]["tag"] == "v1.13.0"
    assert (cluster.calls(APPLY), cluster.calls(BOOTSTRAP)) == before
    assert {at: machine["boot_id"] for at, machine in cluster.run.machines().items()} == boots
    assert all(cluster.run.machines()[address]["ready"] for address in (NODE, WORKER))
    # The wrong order, as in a file with the control plane in front: it waits a moment for the deletion of its workers.
    cluster.delete("TalosControlPlane", "taken")
    cluster.says("TalosControlPlane", "taken", "Deleting", "Deleting", deadline_s=2)
    cluster.delete("TalosWorker", "taken-pool")
    cluster.gone("TalosControlPlane", "taken")
    assert cluster.find("TalosWorker", "taken-pool") is None
    assert cluster.calls(RESET) == [WORKER, NODE]


def test_a_cluster_that_is_applied_again_keeps_its_pki_and_starts_etcd_only_where_it_was_wiped(
    cluster: Cluster,
) -> None:
    bundle = cluster.secret(f"{NAME}-state")["secretBundle"]
    kept = quickstart(1, 1)
    for part in kept["spec"].values():
        part["deletionPolicy"] = "preserve"
    cluster.apply(kept)
    cluster.ready()
    for document, bootstraps in ((quickstart(1, 1), 1), (quickstart(1, 1), 2)):
        cluster.delete("TalosCluster", NAME)
        cluster.gone("TalosCluster", NAME)
        cluster.apply(document)
        cluster.ready()
        assert len(cluster.calls(BOOTSTRAP, ok=False)) == bootstraps
        assert cluster.secret(f"{NAME}-state")["secretBundle"] == bundle


def test_a_silent_machine_holds_its_end_up_until_it_is_given_up(cluster: Cluster) -> None:
    cluster.run.control(op="silence", machine=NODE)
    cluster.delete("TalosCluster", NAME)
    until(
        "it is asked to go", lambda: "deletionTimestamp" in cluster.get("TalosMachine", MACHINE)["metadata"]
    )
    told = cluster.says("TalosMachine", MACHINE, "Removable", "Unreachable", deadline_s=40)
    assert re.search("silent since 2.*waited for until 2.*force-delete", told["message"]), told
    assert cluster.find("TalosCluster", NAME) is not None
    cluster.annotate("TalosMachine", MACHINE, "talos.alperen.cloud/force-delete", "true")
    cluster.gone("TalosCluster", NAME)
    assert cluster.calls(RESET, ok=False) == [WORKER]
    told_of = {
        event["reason"]: event["note"] for event in cluster.events() if event["regarding"]["name"] == MACHINE
    }
    assert "given up" in told_of["GivenUp"]
    assert "force-delete" in told_of["Unreachable"]


def test_a_machine_of_another_cluster_is_said_to_be_foreign_and_left_alone_also_in_deletion(
    cluster: Cluster,
) -> None:
    before = len(cluster.run.calls())
    cluster.apply(control_plane("thief", at(NODE)))
    told = until(
        "it says why",
        lambda: (
            cluster.condition("TalosMachine", f"thief-{NODE}", "Reachable").get("status") == "False"
            and cluster.condition("TalosMachine", f"thief-{NODE}", "Reachable")
        ),
    )
    assert re.search("certificate|cluster", told["message"]), told
    told = cluster.says("TalosMachine", f"thief-{NODE}", "AddressUnique", "AddressTaken")
    assert MACHINE in told["message"]
    cluster.delete("TalosControlPlane", "thief")
    cluster.gone("TalosControlPlane", "thief")
    changes = {APPLY, BOOTSTRAP, RESET}
    assert not [call for call in cluster.run.calls()[before:] if call["method"] in changes]
    assert cluster.is_ready()
