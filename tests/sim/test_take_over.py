"""A running cluster changes its operator: nothing happens to its machines that its owner did not ask for.

One small cluster for all tests of the module; each finds it Ready and leaves it so.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from engine.simulator.mutations import MUTATING
from tests.sim.cluster import APPLY, NAME, Cluster, quickstart, started
from tests.sim.older import KINDS, KUBE_VERSION, enable, left_by_another_operator
from tests.sim.shipped import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

NODE, WORKER = "127.0.1.1", "127.0.1.4"
MACHINES = {NODE: f"{NAME}-{NODE}", WORKER: f"{NAME}-{WORKER}"}
DRIFT = "talos.alperen.cloud/drift"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with started(tmp_path_factory.mktemp("sim") / "run", machines=4) as found:
        found.apply(quickstart(1, 1))
        found.ready()
        yield found


def _mutations(cluster: Cluster) -> list[tuple[str, str]]:
    """Every call so far that may have changed a machine."""
    return [(call["method"], call["machine"]) for call in cluster.run.calls() if call["method"] in MUTATING]


def _change(cluster: Cluster, address: str, value: str) -> None:
    """Somebody else changes a machine."""
    cluster.run.control(op="drift", machine=address, merge={"machine": {"sysctls": {"kernel.panic": value}}})


def _notes(cluster: Cluster, name: str, reason: str) -> list[str]:
    return [
        event["note"]
        for event in cluster.events()
        if event["regarding"]["name"] == name and event["reason"] == reason
    ]


def _statuses(cluster: Cluster) -> list[dict[str, Any]]:
    return [item["status"] for kind in KINDS for item in cluster.run.all_of(cluster.client, kind)]


def test_a_cluster_is_taken_over_without_a_single_call_that_could_disturb_it(cluster: Cluster) -> None:
    boots = {at: machine["boot_id"] for at, machine in cluster.run.machines().items()}
    bundle = cluster.secret(f"{NAME}-state")["secretBundle"]
    left_by_another_operator(cluster, 4, with_secret=False)
    before = _mutations(cluster)
    enable(cluster, "TalosMachine", "TalosWorker", "TalosControlPlane", "TalosCluster")
    cluster.ready()
    until(
        "the machines are known to run what was asked for",
        lambda: all(
            "agreedDigest" in cluster.get("TalosMachine", name)["status"] for name in MACHINES.values()
        ),
    )
    assert _mutations(cluster) == before
    assert {at: machine["boot_id"] for at, machine in cluster.run.machines().items()} == boots
    assert cluster.secret(f"{NAME}-state")["secretBundle"] == bundle
    assert cluster.get("TalosControlPlane", NAME)["status"]["observedKubeVersion"] == KUBE_VERSION
    until("no key is left in a status", lambda: "PRIVATE" not in json.dumps(_statuses(cluster)))
    for status in _statuses(cluster):
        assert not {"secretBundle", "config"} & status.keys()


def test_what_a_machine_runs_instead_is_shown_and_applied_only_on_consent(cluster: Cluster) -> None:
    left_by_another_operator(cluster, 4)
    for address in MACHINES:
        _change(cluster, address, "7")
    before = _mutations(cluster)
    enable(cluster, "TalosMachine", "TalosControlPlane", "TalosWorker", "TalosCluster")
    for name in MACHINES.values():
        told = cluster.says("TalosMachine", name, "ConfigApplied", "WaitsForConsent")
        assert "machine.sysctls" in told["message"]
        until("an event tells both values", lambda name=name: _notes(cluster, name, "WaitsForConsent"))
        (note,) = _notes(cluster, name, "WaitsForConsent")
        assert "machine.sysctls" in note
    for kind, name in (("TalosControlPlane", MACHINES[NODE]), ("TalosWorker", MACHINES[WORKER])):
        assert name in cluster.says(kind, NAME, "ConfigApplied", "WaitsForConsent")["message"]
    until(
        "the cluster names both",
        lambda: all(
            name in cluster.condition("TalosCluster", NAME, "ConfigApplied").get("message", "")
            for name in MACHINES.values()
        ),
    )
    cluster.ready()  # it runs as well as before
    assert _mutations(cluster) == before

    cluster.annotate("TalosCluster", NAME, DRIFT, "repair")
    until("both are as they should be", lambda: len(_mutations(cluster)) == len(before) + 2)
    assert sorted(_mutations(cluster)[len(before) :]) == [(APPLY, NODE), (APPLY, WORKER)]
    cluster.ready()
    for address, name in MACHINES.items():
        cluster.says("TalosMachine", name, "ConfigApplied", "ConfigApplied")
        assert "kernel.panic" not in cluster.configuration(address)
    cluster.annotate("TalosCluster", NAME, DRIFT, None)
