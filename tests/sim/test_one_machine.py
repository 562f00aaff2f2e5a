"""Clusters of one machine: taking a running one over, leaving it running, and the end of a silent one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sim.cluster import APPLY, BOOTSTRAP, MODE, NAME, RESET, Cluster, quickstart, started
from tests.sim.shipped import until
from tests.sim.test_single_objects import at, control_plane

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

NODE = "127.0.1.1"
MACHINE = f"{NAME}-{NODE}"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """The example on one machine, Ready; a second machine is in maintenance mode."""
    with started(tmp_path / "run", machines=2) as found:
        found.apply(quickstart(1, 0))
        found.ready()
        yield found


def _own_text(cluster: Cluster) -> str:
    """The configuration of the node without the frame that the API puts around it."""
    return cluster.configuration(NODE)[cluster.configuration(NODE).index("version: v1alpha1") :]


def test_a_preserved_machine_runs_on_and_is_taken_over_again_as_it_is(cluster: Cluster) -> None:
    boot = cluster.run.machines()[NODE]["boot_id"]
    text = _own_text(cluster)
    kept = quickstart(1, 0)
    kept["spec"]["controlPlane"]["deletionPolicy"] = "preserve"
    cluster.apply(kept)
    cluster.ready()
    cluster.delete("TalosCluster", NAME)
    cluster.gone("TalosCluster", NAME)
    machine = cluster.run.machines()[NODE]
    assert (machine["boot_id"], machine["ready"]) == (boot, True)
    assert cluster.calls(RESET) == []

    before = cluster.calls(APPLY), cluster.calls(BOOTSTRAP)
    data = {"controlplane.yaml": text}
    cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mine"}, "data": data})
    reference = {"name": "mine", "key": "controlplane.yaml"}
    endpoint = f"https://{NODE}:6443"
    cluster.apply(control_plane("taken", at(NODE), mode="import", configRef=reference, endpoint=endpoint))
    cluster.ready("TalosControlPlane", "taken")
    assert cluster.get("TalosControlPlane", "taken")["status"]["imported"] is True
    assert cluster.get("TalosMachine", f"taken-{NODE}")["status"]["state"] == "Available"
    cluster.annotate("TalosControlPlane", "taken", MODE, None)
    with cluster.machine_api(NODE, "taken") as api:
        assert api.call("machine.MachineService/Version")["messages"][0]["version"]["tag"] == "v1.13.0"
    assert (cluster.calls(APPLY), cluster.calls(BOOTSTRAP)) == before
    assert cluster.run.machines()[NODE]["boot_id"] == boot


def test_a_silent_machine_holds_its_end_up_until_it_is_given_up(cluster: Cluster) -> None:
    cluster.run.control(op="silence", machine=NODE)
    cluster.delete("TalosCluster", NAME)
    until(
        "it is asked to go", lambda: "deletionTimestamp" in cluster.get("TalosMachine", MACHINE)["metadata"]
    )
    until(
        "it says why it stays",
        lambda: "probe" in cluster.condition("TalosMachine", MACHINE, "Deleting").get("message", ""),
        deadline_s=40,
    )
    assert cluster.find("TalosCluster", NAME) is not None
    cluster.annotate("TalosMachine", MACHINE, "talos.alperen.cloud/force-delete", "true")
    cluster.gone("TalosCluster", NAME)
    assert cluster.calls(RESET, ok=False) == []
    notes = [event["note"] for event in cluster.events() if event["regarding"]["name"] == MACHINE]
    assert any("given up" in note for note in notes), notes


def test_a_machine_of_another_cluster_is_said_to_be_foreign_and_left_alone(cluster: Cluster) -> None:
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
    cluster.delete("TalosControlPlane", "thief")
    until(
        "it is asked to go",
        lambda: "deletionTimestamp" in cluster.get("TalosControlPlane", "thief")["metadata"],
    )
    changes = {APPLY, BOOTSTRAP, RESET}
    assert not [call for call in cluster.run.calls()[before:] if call["method"] in changes]
    assert cluster.is_ready()
