"""kill -9 at any moment of a bring-up changes nothing about how it ends: the same state, one Bootstrap.

Thirty moments are spread over the time that an undisturbed bring-up takes here. The moments are
drawn with a seed; TALOS_OPERATOR_TEST_SEED replays a run.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from engine.base.errors import RemoteError
from engine.ports.kube.client import KubeClient
from tests.sim.shipped import QUICKSTART, Shipped, is_ready, shipped, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

SEED = int(os.environ.get("TALOS_OPERATOR_TEST_SEED", "20261125"))
MOMENTS = 30
SPEED = 4
ARGUMENTS = ("--simulate", "5", "--apply", str(QUICKSTART))


def _objects(run: Shipped, client: KubeClient) -> dict[str, Any]:
    kinds = ("TalosCluster", "TalosControlPlane", "TalosWorker", "TalosMachine")
    return {
        f"{kind} {item['metadata']['name']}": ((item.get("status") or {}).get("state"), is_ready(item))
        for kind in kinds
        for item in run.all_of(client, kind)
    }


def _state(run: Shipped) -> dict[str, Any]:
    """The world once everything is Ready, apart from names and times that differ between any two runs."""
    client = run.client()

    def settled() -> dict[str, Any] | None:
        try:
            objects = _objects(run, client)
        except RemoteError:  # the embedded API of the killed engine is ending, the next one begins
            return None
        cluster = objects.get("TalosCluster quickstart")
        return objects if cluster == (None, True) and all(ready for _, ready in objects.values()) else None

    objects = until("everything is Ready", settled, deadline_s=120)
    stored = {
        item["metadata"]["name"]
        for kind in ("Secret", "ConfigMap")
        for item in run.all_of(client, kind, "v1")
    }
    return {"objects": objects, "stored": stored}


def _hurry(run: Shipped) -> bool:
    """Have the machines live faster, once they are there: thirty bring-ups at their own pace take ten minutes."""
    try:
        run.control(op="speed", factor=SPEED)
    except OSError:
        return False
    return True


def _bring_up(folder: Path, kill_after_s: float | None) -> tuple[dict[str, Any], Counter[str], float]:
    with shipped(folder) as run:
        began = time.monotonic()
        run.start(*ARGUMENTS)
        if kill_after_s is not None:
            assert run.process is not None
            hurried = False
            while time.monotonic() - began < kill_after_s and run.process.poll() is None:
                hurried = hurried or _hurry(run)
                time.sleep(0.01)
            run.kill()
            run.start(*ARGUMENTS)
        until("the machines live faster", lambda: _hurry(run))
        state = _state(run)
        seconds = time.monotonic() - began
        assert run.stop() == 0, run.log()
        return state, Counter(call["method"] for call in run.calls()), seconds


def test_a_killed_engine_ends_where_an_undisturbed_one_does(tmp_path: Path) -> None:
    expected, methods, whole_s = _bring_up(tmp_path / "undisturbed", None)
    assert methods["machine.MachineService/Bootstrap"] == 1
    draw = random.Random(SEED)
    moments = [whole_s * (index + draw.random()) / MOMENTS for index in range(MOMENTS)]
    for index, moment in enumerate(moments):
        told = f"moment {index} at {moment:.2f} s; replay with TALOS_OPERATOR_TEST_SEED={SEED}"
        state, methods, _ = _bring_up(tmp_path / f"killed-{index}", moment)
        assert methods["machine.MachineService/Bootstrap"] == 1, told
        assert state == expected, told
