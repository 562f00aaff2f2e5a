"""How soon a worker looks at an object after its machine has changed, while others keep all workers busy.

The machine's own part, its TLS and the engine's are in it. Neighbours: `live` runs the engine, `measure` asks.
"""

from __future__ import annotations

import json
import socket
import statistics
import threading
import time
from pathlib import Path

from engine.base.kinds import Key
from engine.engine import Engine
from engine.measure import Meter
from engine.ruleset.model import RuleSet
from tests.bench.figures import Figure
from tests.bench.live import ready_engine
from tests.sim.shipped import until

EVENTS = 100
APART_S = 0.4
"""Longer than the passes that one machine's events ask for lie apart."""
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
    """Milliseconds from the order to the machine until its object is in a worker's hands."""
    with ready_engine(folder, meter=Taken) as (engine, meter):
        assert isinstance(meter, Taken)
        keys = _keys(engine)
        key = next(each for each in keys if each.name.endswith(MACHINE))
        keys.remove(key)
        done = threading.Event()
        busy = threading.Thread(target=_keep_busy, args=(engine, keys, done))
        busy.start()
        try:
            took = sorted(_one(folder, meter, key, number) for number in range(EVENTS))
        finally:
            done.set()
            busy.join()
    return [
        Figure("a change of a machine until a worker looks, all busy: median", statistics.median(took), "ms"),
        Figure(f"  99th of 100, of {EVENTS}", took[int(0.99 * EVENTS) - 1], "ms", 100.0),
    ]


def _one(folder: Path, meter: Taken, key: Key, number: int) -> float:
    time.sleep(APART_S)
    began = time.perf_counter()
    _order(folder, "healthy" if number % 2 else "unhealthy")
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


def _keep_busy(engine: Engine, keys: list[Key], done: threading.Event) -> None:
    """Have these looked at again and again."""
    while not done.wait(0.002):
        for key in keys:
            engine.queue.add(key)


def _order(folder: Path, operation: str) -> None:
    request = {"op": operation, "machine": MACHINE, "service": "kubelet"}
    with socket.socket(socket.AF_UNIX) as end:
        end.connect(str(folder / "machines" / "control.sock"))
        end.sendall((json.dumps(request) + "\n").encode())
        with end.makefile() as answers:
            assert json.loads(answers.readline())["ok"]
