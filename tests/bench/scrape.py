"""How long a scrape of 20,000 series takes over TLS with gzip while four workers are saturated.

The engine runs in this process: its listener, gate, store and the passes of its workers over machines at rest. Passes
whose reads go over the network wait for the machines, which share the cores; passes whose reads are remembered only
compute, so that the workers never rest. Both are measured. Who scrapes is a process of its own, as Prometheus is: each
time a new connection and handshake, then the whole answer.
`python -m tests.bench.scrape PORT TOKEN TIMES` is that process. Neighbours: `live` gives the engine, `figures` shows.
"""

from __future__ import annotations

import http.client
import json
import ssl
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from engine.base.kinds import Key
from engine.base.model import Sample
from engine.capabilities.contract import Ports
from engine.engine import Engine
from engine.measure import Meter
from engine.observe.snapshot import Sight
from engine.ruleset.model import Rule
from engine.series import Family
from engine.settings import BindAddress
from tests.bench.figures import Figure
from tests.bench.live import ready_engine
from tests.sim.shipped import ROOT, free_port, until

SERIES = 20_000
OBJECTS = 1000
TIMES = 300
PAUSE_S = 0.1
"""Between two scrapes: they are not to become the load themselves."""
WORKERS = 4


def scrape(folder: Path) -> list[Figure]:
    """Median and 99th percentile of a scrape: at rest, beside workers that read, and beside workers that only compute."""
    port = free_port()
    more = {"metrics_bind_address": BindAddress("127.0.0.1", port), "metrics_secure": True}
    with ready_engine(folder, **more) as (engine, meter):
        engine.queue.shut_down()
        until("no pass is going on", lambda: not engine.queue.working())
        _fill(meter)
        config = yaml.safe_load((folder / "kubeconfig").read_text())
        token = config["users"][0]["user"]["token"]
        calm = _scraped(port, token)
        figures = [
            Figure(f"a scrape of {SERIES} series, TLS and gzip, at rest: median", _share(calm, 50), "ms"),
            Figure("  99th percentile", _share(calm, 99), "ms"),
        ]
        figures += _beside(engine, port, token, f"  beside {WORKERS} workers that read over the network")
        _remember(engine)
        figures += _beside(engine, port, token, f"  beside {WORKERS} workers that never rest")
        return figures


def _beside(engine: Engine, port: int, token: str, what: str) -> list[Figure]:
    with _saturated(engine) as passes:
        started = time.monotonic()
        busy = _scraped(port, token)
        rate = len(passes) / (time.monotonic() - started)
    return [
        Figure(f"{what} ({rate:.0f} passes/s): median", _share(busy, 50), "ms"),
        Figure("    99th percentile", _share(busy, 99), "ms", 50.0),
    ]


def _remember(engine: Engine) -> None:
    """Have each key's reads answered from memory from its second pass on; everything else is done anew."""
    observer = engine.worker._hops.observer
    look, seen = observer.observe, dict[Key, Sight]()

    def remembered(rule: Rule, key: Key, live: Mapping[str, Any], ports: Ports) -> Sight:
        if key not in seen:
            seen[key] = look(rule, key, live, ports)
        return replace(seen[key], names=observer.names(rule, seen[key].snapshot))

    observer.observe = remembered  # type: ignore[method-assign]  # the one part that a measurement leaves out


def _fill(meter: Meter) -> None:
    """Bring the series to SERIES, spread over objects and families, and as long, as those of rules are."""
    have = sum(not line.startswith(b"#") for line in meter.series.render().splitlines())
    families = [f"bench_operator_state_{number}" for number in range((SERIES - have) // OBJECTS)]
    names = ("resource_type", "namespace", "name", "status")
    for name in families:
        family = Family(name=name, type="gauge", help="Made for the measurement", labels=names)
        meter.series.declare(family)
    for number in range(OBJECTS):
        address = f"bench-127.0.{number // 250}.{number % 250}"
        labels = tuple(zip(names, ("talosmachine", "default", address, "Available"), strict=True))
        meter.series.replace(number, [Sample(name, labels, float(number)) for name in families])


@contextmanager
def _saturated(engine: Engine) -> Iterator[list[None]]:
    """Workers that make one pass after the other, each over a machine of its own; gives an item for each pass."""
    kind = next(kind for kind in engine.rules.rules if kind.name == "TalosMachine")
    rule, done, stopping = engine.rules.rules[kind], list[None](), threading.Event()

    def work(key: Key) -> None:
        while not stopping.is_set():
            end = engine.worker.pass_over(rule, key)
            assert end.result == "success", end
            done.append(None)

    keys = [Key(kind, "default", f"quickstart-127.0.1.{number + 1}") for number in range(WORKERS)]
    threads = [threading.Thread(target=work, args=(key,), daemon=True) for key in keys]
    for thread in threads:
        thread.start()
    try:
        yield done
    finally:
        stopping.set()
        for thread in threads:
            thread.join()


def _scraped(port: int, token: str) -> list[float]:
    """The milliseconds of TIMES scrapes by another process."""
    command = [sys.executable, "-m", "tests.bench.scrape", str(port), token, str(TIMES)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    found: list[float] = json.loads(done.stdout)
    return found


def _share(took: list[float], percent: int) -> float:
    return statistics.quantiles(took, n=100, method="inclusive")[percent - 1]


def _one(port: int, token: str, context: ssl.SSLContext) -> float:
    started = time.perf_counter()
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=context)
    headers = {"Authorization": f"Bearer {token}", "Accept-Encoding": "gzip"}
    connection.request("GET", "/metrics", headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    took = 1000 * (time.perf_counter() - started)
    assert (answer.status, answer.headers["Content-Encoding"]) == (200, "gzip"), body[:200]
    connection.close()
    return took


def main() -> None:
    """Scrape, and print the milliseconds of each time as JSON."""
    port, token, times = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    took = []
    for _ in range(times):
        took.append(_one(port, token, context))
        time.sleep(PAUSE_S)
    print(json.dumps(took))


if __name__ == "__main__":
    main()
