"""A machine that loses its power at any moment of a bring-up delays it and harms nothing.

The moments are calls: machine k is switched off after its i-th. They are drawn with a seed;
TALOS_OPERATOR_TEST_SEED replays a run.
"""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest

from tests.sim.cluster import BOOTSTRAP, NAME, RESET, Cluster, quickstart, started
from tests.sim.shipped import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(150)]

SEED = int(os.environ.get("TALOS_OPERATOR_TEST_SEED", "20261125"))
ROUNDS = 10
MOST_CALLS = 120
"""An undisturbed control plane machine receives about so many until everything is Ready."""
OUTAGE_S = 4.0


def _draws() -> list[tuple[int, int]]:
    """Machine and call; the first calls, where the stages follow each other quickly, more often."""
    draw = random.Random(SEED)
    return [(draw.randint(1, 4), int(MOST_CALLS ** draw.random())) for _ in range(ROUNDS)]


def _received(cluster: Cluster, address: str) -> int:
    return sum(call["machine"] == address for call in cluster.run.calls())


@pytest.mark.parametrize(("machine", "call"), _draws())
def test_a_machine_that_dies_during_the_bring_up_delays_it_only(
    tmp_path: Path, machine: int, call: int
) -> None:
    address = f"127.0.1.{machine}"
    with started(tmp_path / "run", machines=4) as cluster:
        cluster.apply(quickstart(3, 1))
        until(
            f"{address} has received {call} calls",
            lambda: _received(cluster, address) >= call or cluster.is_ready(),
            deadline_s=60,
        )
        cluster.run.control(op="power-off", machine=address)
        time.sleep(OUTAGE_S)  # long enough to bootstrap another machine, if anybody would
        objects = {item["metadata"]["uid"] for item in cluster.run.all_of(cluster.client, "TalosMachine")}
        cluster.run.control(op="power-on", machine=address)
        cluster.ready(deadline_s=90)
        assert len(cluster.calls(BOOTSTRAP)) == 1
        assert cluster.calls(RESET, ok=False) == []
        after = {item["metadata"]["uid"] for item in cluster.run.all_of(cluster.client, "TalosMachine")}
        assert objects <= after
        assert len(after) == 4
        members = {each["etcd_member"] for each in cluster.run.machines().values() if each["etcd_member"]}
        assert len(members) == 3
        assert cluster.get("TalosControlPlane", NAME)["status"]["state"] == "Ready"
