"""A rollout meets a machine that does not come back, and an engine that is killed: never two machines down."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.base.assets import asset
from tests.sim.cluster import APPLY, NAME, RESET, Cluster, is_down, patched, quickstart, started, watching
from tests.sim.shipped import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(150)]

CHANGED = patched(quickstart(3, 1), {"machine": {"env": {"GREETING": "hello"}}})


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    # Rules as shipped, but for the time after which a rollout is said to be stuck.
    rules = shutil.copytree(asset("rules"), tmp_path / "rules")
    rollout = rules / "taloscontrolplane" / "rollout.yaml"
    rollout.write_text(re.sub("stuckAfter: 10m", "stuckAfter: 8s", rollout.read_text()))
    with started(tmp_path / "run", "--rules", str(rules), machines=4) as found:
        found.apply(quickstart(3, 1))
        found.ready()
        yield found


def _sent(cluster: Cluster, method: str, count: int) -> None:
    until(f"{method} was sent {count} times", lambda: len(cluster.calls(method)) >= count)


def test_a_machine_that_does_not_come_back_stops_the_rollout_until_it_does(cluster: Cluster) -> None:
    before = len(cluster.calls(APPLY))
    with watching(cluster.run) as down:
        cluster.apply(CHANGED)
        until("the first one reboots", lambda: len(cluster.calls(APPLY)) > before)
        first = cluster.calls(APPLY)[before]
        cluster.run.control(op="power-off", machine=first)
        told = cluster.says("TalosControlPlane", NAME, "Progressing", "Paused")
        assert f"{NAME}-{first}" in told["message"]
        until(
            "the engine knows that it is away",
            lambda: (
                cluster.condition("TalosMachine", f"{NAME}-{first}", "Reachable").get("status") == "False"
            ),
        )
        looks = len(cluster.run.calls())
        until("everything was looked at again", lambda: len(cluster.run.calls()) > looks + 60, deadline_s=40)
        assert cluster.calls(APPLY)[before:] == [first]
        told = cluster.says("TalosControlPlane", NAME, "RolloutOnTime", "MachineNotBack", deadline_s=20)
        assert re.search(f"{NAME}-{first} is not well since 2.*Reachable", told["message"]), told
        cluster.run.control(op="power-on", machine=first)
        cluster.ready(deadline_s=90)
    assert max(map(len, down)) == 1, down
    assert sorted(cluster.calls(APPLY)[before:]) == ["127.0.1.1", "127.0.1.2", "127.0.1.3", "127.0.1.4"]
    assert cluster.calls(APPLY)[-1] == "127.0.1.4"


def test_an_engine_killed_in_a_rollout_goes_on_with_the_same_machine(cluster: Cluster) -> None:
    before = len(cluster.calls(APPLY))
    with watching(cluster.run) as down:
        cluster.apply(CHANGED)
        for count in (1, 2, 3):
            _sent(cluster, APPLY, before + count)
            cluster.run.kill()
            cluster.run.start("--simulate", "4")
        cluster = Cluster(cluster.run)
        cluster.ready(deadline_s=90)
    assert max(map(len, down)) == 1, down
    assert sorted(cluster.calls(APPLY)[before:]) == ["127.0.1.1", "127.0.1.2", "127.0.1.3", "127.0.1.4"]
    assert not [machine for machine in cluster.run.machines().values() if is_down(machine)]


def test_an_engine_killed_in_a_deletion_wipes_every_machine_once(cluster: Cluster) -> None:
    cluster.delete("TalosCluster", NAME)
    for count in (1, 2, 4):
        _sent(cluster, RESET, count)
        cluster.run.kill()
        cluster.run.start("--simulate", "4")
        cluster = Cluster(cluster.run)
    cluster.gone("TalosCluster", NAME)
    assert sorted(cluster.calls(RESET, ok=False)) == ["127.0.1.1", "127.0.1.2", "127.0.1.3", "127.0.1.4"]
    until(
        "all disks are empty",
        lambda: all(machine["stage"] == "maintenance" for machine in cluster.run.machines().values()),
    )


def test_workers_change_as_many_at_a_time_as_max_unavailable_says(tmp_path: Path) -> None:
    document = quickstart(1, 4)
    document["spec"]["worker"]["rolloutStrategy"] = {"rollingUpdate": {"maxUnavailable": "50%"}}
    with started(tmp_path / "run", machines=7) as cluster:
        cluster.apply(document)
        cluster.ready()
        with watching(cluster.run) as down:
            cluster.apply(patched(document, {"machine": {"env": {"GREETING": "hello"}}}, "worker"))
            cluster.ready(deadline_s=90)
        assert max(map(len, down)) == 2, down
        assert frozenset.union(*down) == {f"127.0.1.{digit}" for digit in (4, 5, 6, 7)}
