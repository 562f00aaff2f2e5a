"""How soon a worker looks at an object after its machine has changed, while others keep all workers busy.

The machine's own part, its TLS and the engine's are in it; not what the order to the machine takes to be made, which
would wait for the same interpreter. Neighbours: `live` runs the engine, `measure` asks.
"""

from __future__ import annotations

import json
import socket
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from engine import streams
from engine.base.kinds import Key
from engine.engine import Engine
from engine.measure import Meter
from engine.ruleset.model import RuleSet
from engine.simulator.settings import CONTROL_SOCKET
from tests.bench.figures import Figure
from tests.bench.live import ready_engine
from tests.sim.shipped import until

EVENTS = 100
APART_S = 2 * streams.APART_S + 0.1
"""A change is told by several resources: it has one pass at once and one `streams.APART_S` later. What changes before
as long again is over is looked at then, by intent; so the changes that are measured lie further apart."""
MACHINE = "127.0.1.4"


class Taken(Meter):
    """A Meter that notes when a worker took which key."""

    def __init__(self, rules: RuleSet, workers: int) -> None:
        super().__init__(rules, workers)
        self.times: list[tuple[float, Key]] = []

    def taken(self, key: Key, waited_s: float) -> None:
        """A worker took a key."""
        self.times.append((time.perf_counter(), key))
        super().taken(key, waited_s)


def waking(folder: Path) -> list[Figure]:
    """Milliseconds from the order to the machine until its object is in a worker's hands.

    First beside objects that are merely due, then beside others of which something was told just as well: those have
    their turns in order, so that is what a round of them takes.
    """
    with ready_engine(folder, meter=Taken) as (engine, meter), _orders(folder) as orders:
        assert isinstance(meter, Taken)
        looks = _beside(engine, meter, orders, news=False)
        news = _beside(engine, meter, orders, news=True)
    return [
        Figure("a change of a machine until a worker looks, all busy: median", _share(looks, 50), "ms"),
        Figure(f"  99th of 100, of {EVENTS}", _share(looks, 99), "ms", 100.0),
        Figure("  all busy with other news: median", _share(news, 50), "ms"),
        Figure("    99th of 100", _share(news, 99), "ms"),
    ]


def _share(took: list[float], percent: int) -> float:
    return statistics.median(took) if percent == 50 else sorted(took)[int(percent / 100 * len(took)) - 1]


def _beside(engine: Engine, meter: Taken, orders: TextIO, *, news: bool) -> list[float]:
    keys = _keys(engine)
    key = next(each for each in keys if each.name.endswith(MACHINE))
    keys.remove(key)
    done = threading.Event()
    busy = threading.Thread(target=_keep_busy, args=(engine, keys, done), kwargs={"news": news})
    busy.start()
    try:
        return [_one(orders, meter, key, number) for number in range(EVENTS)]
    finally:
        done.set()
        busy.join()


def _one(orders: TextIO, meter: Taken, key: Key, number: int) -> float:
    time.sleep(APART_S)
    operation = "healthy" if number % 2 else "unhealthy"
    line = json.dumps({"op": operation, "machine": MACHINE, "service": "kubelet"}) + "\n"
    orders.write(line)
    began = time.perf_counter()
    orders.flush()
    assert json.loads(orders.readline())["ok"]
    at = until(
        "its object is looked at",
        lambda: next((t for t, each in meter.times if each == key and t > began), 0.0),
    )
    meter.times.clear()
    return float(1000 * (at - began))


def _keys(engine: Engine) -> list[Key]:
    """Every object that has a rule."""
    return [
        Key(kind, item["metadata"]["namespace"], item["metadata"]["name"])
        for kind in engine.rules.rules
        for item in engine.cache.list(kind)
    ]


def _keep_busy(engine: Engine, keys: list[Key], done: threading.Event, *, news: bool) -> None:
    """Have these looked at again and again."""
    while not done.wait(0.002):
        for key in keys:
            engine.queue.add(key, news=news)


@contextmanager
def _orders(folder: Path) -> Iterator[TextIO]:
    """The control socket of the machines: a line is one order, and one comes back."""
    with socket.socket(socket.AF_UNIX) as end:
        end.connect(str(folder / "machines" / CONTROL_SOCKET))
        with end.makefile("rw") as lines:
            yield lines
