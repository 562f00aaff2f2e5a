"""An API server that answers out of the past: nothing is done twice and everything ends well all the same.

Each run brings a small cluster up, changes it and deletes it, while a share of the engine's reads of objects
and lists is 1, 5 or 50 versions old. TALOS_OPERATOR_TEST_SEED replays, TALOS_OPERATOR_TEST_RUNS repeats.
"""

from __future__ import annotations

import os
import random
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.faults.apart import MACHINES, apart
from tests.faults.stale_proxy import Past, lagging
from tests.sim.cluster import APPLY, BOOTSTRAP, NAME, RESET, Cluster, patched, quickstart
from tests.sim.shipped import until

SEED = int(os.environ.get("TALOS_OPERATOR_TEST_SEED", "20261128"))
RUNS = int(os.environ.get("TALOS_OPERATOR_TEST_RUNS", "2"))
SHARE = 0.1

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60 + 90 * RUNS)]


def _each(cluster: Cluster, what: str) -> list[str]:
    machines = cluster.run.machines()
    return [machines[address][what] for address in MACHINES]


def _live(cluster: Cluster) -> None:
    """Bring up, change, delete."""
    document = quickstart(1, 1)
    cluster.apply(document)
    cluster.ready()
    boots = _each(cluster, "boot_id")
    cluster.apply(patched(document, {"machine": {"env": {"GREETING": "hello"}}}))
    until("both were started again", lambda: not set(_each(cluster, "boot_id")) & set(boots))
    cluster.ready()
    cluster.delete("TalosCluster", NAME)
    cluster.gone("TalosCluster", NAME)
    until("the disks are empty", lambda: set(_each(cluster, "stage")) == {"maintenance"})


def test_nothing_is_done_twice_when_reads_are_old(tmp_path: Path) -> None:
    draw = random.Random(SEED)
    for index in range(RUNS):
        past = Past(random.Random(draw.randrange(1 << 32)), SHARE)
        told = (
            f"run {index}; replay with TALOS_OPERATOR_TEST_SEED={SEED} TALOS_OPERATOR_TEST_RUNS={index + 1}"
        )
        with apart(tmp_path / f"run-{index}", told, lambda path, past=past: lagging(path, past)) as (
            run,
            cluster,
        ):
            _live(cluster)
        sys.stdout.write(f"run {index}: {past.stale} of {past.answered} reads were old\n")
        assert sum(run.accepted(BOOTSTRAP).values()) == 1, told
        once = Counter(MACHINES)
        assert run.accepted(APPLY) == once + once, told
        assert run.accepted(RESET) == once, told
