"""Somebody empties a status or strips a finalizer in the middle of the bring-up: it ends as if nobody had.

The moments and victims are drawn with a seed; TALOS_OPERATOR_TEST_SEED replays, TALOS_OPERATOR_TEST_RUNS repeats.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from pathlib import Path

import pytest

from engine.base.errors import RemoteError
from engine.base.kinds import Key
from tests.faults.apart import MACHINES, apart
from tests.sim.cluster import APPLY, BOOTSTRAP, NAME, RESET, Cluster, quickstart
from tests.sim.shipped import API, until

SEED = int(os.environ.get("TALOS_OPERATOR_TEST_SEED", "20261128"))
RUNS = int(os.environ.get("TALOS_OPERATOR_TEST_RUNS", "2"))
VICTIMS = (
    ("TalosControlPlane", NAME),
    ("TalosWorker", NAME),
    ("TalosMachine", f"{NAME}-{MACHINES[0]}"),
    ("TalosMachine", f"{NAME}-{MACHINES[1]}"),
)
EVERY_S = 0.3

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60 + 90 * RUNS)]


def _meddle(cluster: Cluster, victim: tuple[str, str], what: str) -> None:
    """Empty a status, or take the finalizers away; what is not there yet stays as it is."""
    kind, name = victim
    key = Key(cluster.client.kind_named(API, kind), "default", name)
    try:
        if what == "status":
            now = cluster.client.get(key)
            cluster.client.patch_status(key, {"status": dict.fromkeys(now.get("status") or {})})
        else:
            cluster.client.patch(key, {"metadata": {"finalizers": None}})
    except RemoteError:
        return


def _finalizers(cluster: Cluster) -> set[tuple[str, ...]]:
    return {tuple(cluster.get(kind, name)["metadata"].get("finalizers", ())) for kind, name in VICTIMS}


def test_a_status_or_finalizer_that_somebody_takes_away_does_no_harm(tmp_path: Path) -> None:
    draw = random.Random(SEED)
    for index in range(RUNS):
        told = (
            f"run {index}; replay with TALOS_OPERATOR_TEST_SEED={SEED} TALOS_OPERATOR_TEST_RUNS={index + 1}"
        )
        with apart(tmp_path / f"run-{index}", told) as (run, cluster):
            cluster.apply(quickstart(1, 1))
            for _ in range(12):
                time.sleep(draw.uniform(0, 2 * EVERY_S))
                _meddle(cluster, draw.choice(VICTIMS), draw.choice(("status", "status", "finalizers")))
            cluster.ready()
            until("each has its finalizer again", lambda: all(_finalizers(cluster)))
            cluster.delete("TalosCluster", NAME)
            cluster.gone("TalosCluster", NAME)
            until(
                "the disks are empty",
                lambda: {run.machines()[address]["stage"] for address in MACHINES} == {"maintenance"},
            )
        once = Counter(MACHINES)
        assert sum(run.accepted(BOOTSTRAP).values()) == 1, told
        assert run.accepted(APPLY) == once, told
        assert run.accepted(RESET) == once, told
