"""What one pass over a machine at rest costs with its reads over the network, thread by thread.

The engine runs inside this process; the embedded API and the machines have processes of their own, so
that only the engine's CPU is counted. Neighbours: `measure` asks, `scrape` runs such an engine too, `figures` shows.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from engine import process
from engine.base.assets import asset
from engine.base.kinds import Key
from engine.bringup import apply_files, obstacles
from engine.companion import Companion
from engine.engine import Engine
from engine.measure import Meter
from engine.ports.kube.client import KubeClient
from engine.ruleset.catalog import load_catalog
from engine.ruleset.load import load_rules
from engine.settings import Settings
from tests.bench.figures import Figure
from tests.sim.shipped import QUICKSTART, ROOT, until

BATCHES = 12
PASSES = 100
"""Of a batch. Other tenants of the machine halve its speed now and then: the quietest batch counts."""


def live_pass(folder: Path) -> list[Figure]:
    """The CPU of whole passes over one machine at rest: the worker's thread, and all threads together."""
    with ready_engine(folder) as (engine, _):
        engine.queue.shut_down()
        until("no pass is going on", lambda: not engine.queue.working())
        kind = next(kind for kind in engine.rules.rules if kind.name == "TalosMachine")
        key = Key(kind, "default", "quickstart-127.0.1.4")
        rule = engine.rules.rules[kind]
        for _ in range(20):
            engine.worker.pass_over(rule, key)
        batches = []
        for _ in range(BATCHES):
            own, whole = [], []
            for _ in range(PASSES):
                thread, process = time.thread_time_ns(), time.process_time_ns()
                end = engine.worker.pass_over(rule, key)
                own.append((time.thread_time_ns() - thread) / 1e6)
                whole.append((time.process_time_ns() - process) / 1e6)
                assert end.result == "success", end
            batches.append((statistics.median(whole), statistics.median(own)))
        total, mine = min(batches)
        return [
            Figure("a whole pass over one machine at rest: the worker's thread", mine, "ms", 1.0),
            Figure("  its reads (four unary calls), loop, gRPC and TLS", total - mine, "ms", 2.0),
        ]


@contextmanager
def ready_engine(folder: Path, *, meter: type[Meter] = Meter, **more: Any) -> Iterator[tuple[Engine, Meter]]:
    """An engine of this process over a quickstart cluster that is Ready; `more` are settings.

    The process is tuned as that of `run` is: this is its first line, too.
    """
    process.tune()
    with ExitStack() as stack:
        api = subprocess.Popen(
            [sys.executable, "-m", "engine.standalone", str(folder)], cwd=ROOT, stdout=subprocess.DEVNULL
        )
        stack.callback(api.wait)
        stack.callback(api.terminate)
        kubeconfig = folder / "kubeconfig"
        until("the API writes its kubeconfig", kubeconfig.exists)
        machines = Companion(folder, 5)
        machines.start()
        stack.callback(machines.stop)
        rules = load_rules((asset("rules"),), load_catalog(asset("schemas")))
        given = {"metrics_bind_address": None, "health_probe_bind_address": None, "workers": 4, **more}
        settings = Settings(standalone=folder, simulate=5, **given)
        made = meter(rules, settings.workers)
        client = KubeClient.connect(kubeconfig, on_request=made.requested)
        stack.callback(client.close)
        engine = Engine(rules, client, settings, made)
        engine.start()
        stack.callback(engine.stop)
        applied = apply_files(client, [QUICKSTART])
        until("the cluster is Ready", lambda: not obstacles(client, applied), deadline_s=120)
        yield engine, made
