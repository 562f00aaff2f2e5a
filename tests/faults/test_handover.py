"""Two engines over one API: whatever happens to the one that leads, the other goes on and nothing is done twice.

A sample of `python -m tests.faults.handover`, one round with every harm. TALOS_OPERATOR_TEST_SEED replays.
"""

from __future__ import annotations

import signal
import urllib.request
from collections import Counter
from pathlib import Path

import pytest

from tests.faults.apart import MACHINES
from tests.faults.handover import HARMS, SEED, cut, delete, kill, pause, round_of, stop, storm, usurp
from tests.faults.replicas import SHORT, Replicas, alone
from tests.sim.cluster import APPLY, BOOTSTRAP, NAME, patched, quickstart
from tests.sim.shipped import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_a_cluster_lives_through_every_way_to_lose_a_leader(tmp_path: Path) -> None:
    harms = (kill, pause, usurp, cut, stop, delete, storm)
    assert set(harms) == set(HARMS)
    done = round_of(tmp_path, SEED, 0, SHORT, harms)
    assert [each.harm for each in done] == [each.__name__ for each in harms]
    assert sum(each.stale for each in done) == 0
    assert sum(each.changed for each in done) >= 3


def test_who_waits_serves_metrics_writes_nothing_and_takes_over_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir(mode=0o700)
    run = Replicas(folder)
    with run.running() as cluster:
        until("one leads and one waits", lambda: run.waiting(cluster.client))
        leader = run.leader(cluster.client)
        (other,) = [each for each in run.replicas if each is not leader]
        cluster.apply(quickstart(1, 1))
        cluster.ready()
        with urllib.request.urlopen(f"http://127.0.0.1:{other.port}/metrics", timeout=5) as answer:
            text = answer.read().decode()
        sent = [line for line in text.splitlines() if line.startswith("rest_client_requests_total{")]
        assert sent
        assert [line for line in sent if 'method="GET"' not in line and 'code="409"' not in line] == []
        assert other.metric("controller_runtime_reconcile_total") == 0
        assert other.metric("talos_operator_talos_api_calls_total") == 0
        former = run.holder(cluster.client)
        assert leader.process is not None
        leader.send(signal.SIGTERM)
        assert leader.process.wait(60) == 0
        assert run.holder(cluster.client) != former
        until("the other one leads", lambda: other.metric("leader_election_master_status") == 1)
        cluster.delete("TalosCluster", NAME)
        cluster.gone("TalosCluster", NAME)
        reasons = {(item["reason"], item["note"].partition(" ")[2]) for item in cluster.events()}
    assert ("LeaderElection", "became leader") in reasons
    assert ("LeaderElection", "stopped leading") in reasons


def test_a_leader_that_wakes_with_work_left_to_do_does_none_of_it(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir(mode=0o700)
    run = Replicas(folder)
    with run.running() as cluster:
        until("one leads and one waits", lambda: run.waiting(cluster.client))
        document = quickstart(1, 1)
        cluster.apply(document)
        cluster.ready()
        leader, former = run.leader(cluster.client), run.holder(cluster.client)
        leader.send(signal.SIGSTOP)
        cluster.apply(patched(document, {"machine": {"env": {"GREETING": "hello"}}}))
        until("the other one has the lease", lambda: run.holder(cluster.client) not in ("", former))
        with alone(run, leader):
            before = run.mutations()
            leader.send(signal.SIGCONT)
            until("it has ended", leader.has_ended, deadline_s=20)
            assert run.mutations() == before
        applied = Counter(dict.fromkeys(MACHINES, 2))
        until("the other one has done it", lambda: run.accepted(APPLY) == applied)
        cluster.ready()
        assert leader.exits == [1]
        assert sum(run.accepted(BOOTSTRAP).values()) == 1
