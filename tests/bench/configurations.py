"""What work on configurations costs: rendering, merging, comparing; processor time, since a neighbour's load is not ours.

Every round has an input that was not seen before, so that no cache of a whole answer helps. Neighbour: `measure` puts the
figures in the table.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

from engine.machineconfig import diff, patch
from engine.machineconfig.config import load
from tests.bench.figures import Figure
from tests.unit.machineconfig.samples import config_of, rendered

ROUNDS = 200
SIZE = 30_000


def configurations() -> list[Figure]:
    """Milliseconds, each the median of so many rounds."""
    base = config_of("controlplane")
    patches = [patch.patch_of(_patch(number)) for number in range(ROUNDS)]
    texts = [_large(number) for number in range(ROUNDS)]
    size = len(texts[0]) // 1000
    fresh = [f"{text}# {number}\n" for number, text in enumerate(texts)]
    changed = [text.replace("probe.k77: ", "probe.k77: 1") for text in fresh]
    return [
        Figure("rendering both configurations of a cluster", _median(_render_both), "ms", 10.0),
        Figure("merging a patch", _median(lambda number: patch.apply(base, patches[number])), "ms", 1.0),
        Figure(f"reading a configuration of {size} kB", _median(lambda number: load(texts[number])), "ms"),
        Figure(
            f"comparing two unread ones of {size} kB by meaning",
            _median(lambda number: diff.text_paths(fresh[number], changed[number])),
            "ms",
            5.0,
        ),
    ]


def _render_both(number: int) -> None:
    for role in ("controlplane", "worker"):
        rendered(role, configPatches=[_patch(number)])


def _patch(number: int) -> dict[str, Any]:
    return {"machine": {"sysctls": {"probe": str(number)}}, "cluster": {"apiServer": {"certSANs": ["a"]}}}


def _large(number: int) -> str:
    files = [
        {"path": f"/var/probe{each}", "permissions": 420, "op": "create", "content": "x" * 40}
        for each in range(120)
    ]
    sysctls = {f"probe.k{each}": f"{number}-{each}" for each in range(150)}
    text = rendered("controlplane", configPatches=[{"machine": {"files": files, "sysctls": sysctls}}]).text
    assert len(text) >= SIZE
    return text


def _median(work: Callable[[int], Any]) -> float:
    work(0)
    spent = []
    for number in range(1, ROUNDS):
        started = time.thread_time_ns()
        work(number)
        spent.append((time.thread_time_ns() - started) / 1e6)
    return statistics.median(spent)
