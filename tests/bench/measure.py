"""The measurements: each starts the shipped program, looks at it from outside, and gives Figures.

Neighbours: `cluster` runs, `figures` shows.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from engine.simulator.timing import Timing
from tests.bench.cluster import Running, running
from tests.bench.configurations import configurations
from tests.bench.figures import Figure
from tests.bench.live import live_pass
from tests.bench.memory import memory
from tests.bench.scrape import scrape
from tests.bench.snapshot import snapshot_copy
from tests.bench.waking import waking
from tests.rules.world import judge, read
from tests.sim.shipped import ROOT

MEBIBYTE = 1024 * 1024
PASSES = 1000
AT_REST_S = 60.0
SETTLE_S = 20.0


def validate() -> list[Figure]:
    """How long `validate` takes on the shipped rules, interpreter included."""
    took = []
    for _ in range(7):
        started = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "engine", "validate"], cwd=ROOT, check=True, capture_output=True
        )
        took.append(time.perf_counter() - started)
    return [Figure("validate the shipped rules, median of 7", statistics.median(took), "s", 0.6)]


def one_pass() -> list[Figure]:
    """The CPU of deciding, assessing and measuring a machine at rest, its answers given."""
    case = ROOT / "rules" / "tests" / "talosmachine" / "ready"
    live, world = read(case / "object.yaml"), read(case / "world.yaml")
    judge(live, world)
    spent = []
    for _ in range(PASSES):
        started = time.process_time_ns()
        judge(live, world)
        spent.append((time.process_time_ns() - started) / 1e6)
    return [Figure("deciding, assessing, measuring a machine at rest", statistics.median(spent), "ms", 1.0)]


def bring_up(folder: Path, machines: int) -> list[Figure]:
    """From bare machines to a Ready cluster, against what the machines themselves need."""
    with running(folder, machines, within_s=300) as cluster:
        own = own_time()
        return [
            Figure(
                f"{machines} machines from maintenance to Ready",
                cluster.took_s,
                "s",
                60.0 if machines == 5 else None,
            ),
            Figure("  from the first call to a machine on", cluster.worked_s, "s"),
            Figure(f"  times what a machine needs ({own:.1f} s)", cluster.worked_s / own, "x", 1.2),
        ]


def own_time() -> float:
    """What the slowest machine, a control plane that joins etcd last, spends by itself at speed 1."""
    timing = Timing()
    install = timing.maintenance_apply + timing.install + timing.stop_services + timing.firmware
    boot = timing.apid + timing.trustd + timing.cri + timing.kubelet
    # The first member starts alone; the other two join one after the other, each as a learner first.
    etcd = timing.etcd_start + 2 * (timing.etcd_start + timing.etcd_promote)
    return install + boot + etcd + timing.static_pods + timing.node_ready


def at_rest(folder: Path, machines: int) -> list[Figure]:
    """What a minute costs when nothing has to be done."""
    with running(folder, machines, within_s=300) as cluster:
        time.sleep(SETTLE_S)
        before, cpu, passes = cluster.revision(), _cpu(cluster), _passes(cluster)
        time.sleep(AT_REST_S)
        spent, done = _cpu(cluster) - cpu, _passes(cluster) - passes
        writes = int(cluster.revision()) - int(before)
        return [
            Figure(
                f"{machines} machines at rest: CPU of one pass, all included",
                1000 * spent / max(done, 1),
                "ms",
            ),
            Figure("  passes in a minute", done, ""),
            Figure("  writes in a minute", writes, "", 0),
            Figure("  CPU of the process", 100 * spent / AT_REST_S, "%"),
        ]


def _cpu(cluster: Running) -> float:
    return cluster.sample("process_cpu_seconds_total")


def _passes(cluster: Running) -> float:
    return cluster.sample("talos_operator_reconciliation_total")


def everything(folder: Callable[[str], Path], *, quick: bool) -> Sequence[Figure]:
    """All figures; `quick` leaves out the thousand machines."""
    figures = [
        *validate(),
        *one_pass(),
        *configurations(),
        *snapshot_copy(folder("snapshot")),
        *live_pass(folder("live")),
        *waking(folder("waking")),
        *scrape(folder("scrape")),
        *bring_up(folder("five"), 5),
        *bring_up(folder("hundred"), 100),
    ]
    figures += at_rest(folder("rest"), 100)
    return figures if quick else [*figures, *memory(folder("thousand"), 1000)]
