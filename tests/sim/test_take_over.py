"""A running cluster changes its operator: nothing happens to its machines that its owner did not ask for.

One small cluster for all tests of the module; each finds it Ready and leaves it so.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.sim.cluster import APPLY, MODE, NAME, RESET, Cluster, quickstart, started
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
    """Every call so far that may have changed a machine; dry runs are none."""
    found = cluster.run.control(op="mutations")["mutations"]
    return [(call["method"], call["machine"]) for call in found]


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
    for name in MACHINES.values():  # a dry run tells it before anything is taken over
        status = cluster.get("TalosMachine", name)["status"]
        cluster.annotate("TalosMachine", name, MODE, "dryrun")
        until(
            "a dry run tells what differs",
            lambda name=name: any("kernel.panic" in note for note in _notes(cluster, name, "DryRun")),
        )
        assert cluster.get("TalosMachine", name)["status"] == status
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


def _poke(cluster: Cluster, kind: str, name: str) -> None:
    """Have an object looked at now, not after its period."""
    cluster.annotate(kind, name, "example.org/look", str(time.monotonic()))


def _looked_at(cluster: Cluster, name: str, address: str) -> None:
    """Wait until the engine has looked with what was last written: an earlier look may have been under way."""
    for _ in range(2):
        before = sum(call["machine"] == address for call in cluster.run.calls())
        _poke(cluster, "TalosMachine", name)
        until(
            f"{name} is looked at",
            lambda before=before: sum(call["machine"] == address for call in cluster.run.calls()) > before,
        )


def test_drift_is_only_shown_where_its_owner_wants_it_so_and_else_taken_back(cluster: Cluster) -> None:
    document = quickstart(1, 1)
    document["spec"]["worker"]["driftPolicy"] = "show"
    cluster.apply(document)
    machine = MACHINES[WORKER]
    until(
        "the pool has the policy",
        lambda: cluster.get("TalosWorker", NAME)["spec"].get("driftPolicy") == "show",
    )
    before = len(cluster.calls(APPLY))
    _change(cluster, WORKER, "9")
    _poke(cluster, "TalosMachine", machine)
    cluster.says("TalosMachine", machine, "ConfigApplied", "Drifted")
    cluster.says("TalosWorker", NAME, "ConfigApplied", "Drifted")
    assert cluster.condition("TalosMachine", machine, "Ready")["status"] == "True"
    until("an event tells of it", lambda: any("9" in note for note in _notes(cluster, machine, "Drifted")))
    _change(cluster, NODE, "9")
    _poke(cluster, "TalosMachine", MACHINES[NODE])
    until("the other one is taken back", lambda: cluster.calls(APPLY)[before:] == [NODE])
    assert "kernel.panic" in cluster.configuration(WORKER)
    cluster.annotate("TalosMachine", machine, DRIFT, "repair")
    until("and so is this one, once that is said", lambda: cluster.calls(APPLY)[before:] == [NODE, WORKER])
    cluster.ready()
    cluster.annotate("TalosMachine", machine, DRIFT, None)
    cluster.apply(quickstart(1, 1))
    cluster.ready()


def test_the_mode_decides_what_becomes_of_a_deletion_and_counts_at_once(cluster: Cluster) -> None:
    machine = MACHINES[WORKER]
    cluster.ready()
    cluster.annotate("TalosMachine", machine, MODE, "Disable")
    kept = cluster.get("TalosMachine", machine)
    cluster.delete("TalosMachine", machine)
    until("an event tells why it stays", lambda: _notes(cluster, machine, "Disabled"))
    calls = [call for call in cluster.run.calls() if call["machine"] == WORKER]
    _poke(cluster, "TalosMachine", MACHINES[NODE])
    looks = len(cluster.run.calls())
    until("others were looked at", lambda: len(cluster.run.calls()) > looks + 5)
    after = cluster.get("TalosMachine", machine)
    assert (after["status"], after["metadata"]["finalizers"]) == (
        kept["status"],
        kept["metadata"]["finalizers"],
    )
    assert [call for call in cluster.run.calls() if call["machine"] == WORKER] == calls

    cluster.annotate("TalosMachine", machine, MODE, "dryrun")
    until("a dry run tells what would be done", lambda: _notes(cluster, machine, "DryRun"))
    after = cluster.get("TalosMachine", machine)
    assert (after["status"], after["metadata"]["finalizers"]) == (
        kept["status"],
        kept["metadata"]["finalizers"],
    )
    assert cluster.calls(RESET, ok=False) == []

    cluster.annotate("TalosMachine", machine, MODE, None)
    until("it is wiped", lambda: cluster.calls(RESET) == [WORKER])
    cluster.ready()


def test_a_dry_run_tells_what_the_machine_itself_says(cluster: Cluster) -> None:
    machine = MACHINES[WORKER]
    cluster.ready()
    cluster.annotate("TalosMachine", machine, MODE, "dryrun")
    _looked_at(cluster, machine, WORKER)
    status = cluster.get("TalosMachine", machine)["status"]
    _change(cluster, WORKER, "11")
    _poke(cluster, "TalosMachine", machine)
    until(
        "its own difference is in an event",
        lambda: any(
            "Dry run summary" in note and "kernel.panic" in note
            for note in _notes(cluster, machine, "DryRun")
        ),
    )
    assert "kernel.panic" in cluster.configuration(WORKER)
    assert cluster.get("TalosMachine", machine)["status"] == status
    cluster.annotate("TalosMachine", machine, MODE, None)
    until("then it is done", lambda: "kernel.panic" not in cluster.configuration(WORKER))
    cluster.ready()
