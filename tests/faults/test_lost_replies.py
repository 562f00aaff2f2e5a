"""A request is carried out and its reply is lost: the engine looks instead of asking again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sim.cluster import APPLY, BOOTSTRAP, NAME, RESET, Cluster, quickstart, started
from tests.sim.shipped import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

NODE = "127.0.1.1"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with started(tmp_path / "run", machines=3) as found:
        yield found


def _lost(cluster: Cluster, method: str) -> list[str]:
    """The codes of calls that were decided and whose callers never heard of it."""
    calls = cluster.run.calls()
    return [call["code"] for call in calls if call["method"] == method and call.get("reply") == "lost"]


def _codes(cluster: Cluster, method: str) -> list[str]:
    return [call["code"] for call in cluster.run.calls() if call["method"] == method]


def test_a_bootstrap_whose_reply_is_lost_is_not_sent_again(cluster: Cluster) -> None:
    cluster.run.control(op="fail", method=BOOTSTRAP, lose_reply=True, count=1)
    cluster.apply(quickstart(3, 0))
    cluster.ready()
    assert _lost(cluster, BOOTSTRAP) == ["OK"]
    assert len(_codes(cluster, BOOTSTRAP)) == 1
    machines = cluster.run.machines()
    assert all(machine["etcd_member"] for machine in machines.values())
    (intent,) = cluster.get("TalosControlPlane", NAME)["status"]["intents"]
    assert (intent["attempt"], intent["done"]) == (1, True)


def test_a_configuration_whose_reply_is_lost_is_installed_once(cluster: Cluster) -> None:
    cluster.run.control(op="fail", machine=NODE, method=APPLY, lose_reply=True, count=1)
    cluster.apply(quickstart(1, 0))
    cluster.ready()
    assert _lost(cluster, APPLY) == ["OK"]
    assert _codes(cluster, APPLY).count("OK") == 1  # a second one was refused, if it was sent at all
    assert _codes(cluster, BOOTSTRAP) == ["OK"]


def test_a_change_whose_reply_is_lost_reboots_the_machine_once(cluster: Cluster) -> None:
    cluster.apply(quickstart(1, 0))
    cluster.ready()
    cluster.run.control(op="fail", machine=NODE, method=APPLY, lose_reply=True, count=1)
    before, boot = len(_codes(cluster, APPLY)), cluster.run.machines()[NODE]["boot_id"]
    changed = quickstart(1, 0)
    changed["spec"]["controlPlane"]["metalSpec"]["machineSpec"]["configPatches"] = [
        {"machine": {"env": {"GREETING": "hello"}}}
    ]
    cluster.apply(changed)
    until("it reboots", lambda: cluster.run.machines()[NODE]["boot_id"] != boot)
    boot = cluster.run.machines()[NODE]["boot_id"]
    cluster.ready()
    assert cluster.run.machines()[NODE]["boot_id"] == boot
    assert _lost(cluster, APPLY) == ["OK"]
    assert _codes(cluster, APPLY)[before:].count("OK") == 1


def test_a_reset_whose_reply_is_lost_is_not_sent_again(cluster: Cluster) -> None:
    cluster.apply(quickstart(1, 0))
    cluster.ready()
    cluster.run.control(op="fail", machine=NODE, method=RESET, lose_reply=True, count=1)
    cluster.delete("TalosCluster", NAME)
    cluster.gone("TalosCluster", NAME)
    until("its disk is empty", lambda: cluster.run.machines()[NODE]["stage"] == "maintenance")
    assert _lost(cluster, RESET) == ["OK"]
    assert len(_codes(cluster, RESET)) == 1
