"""The crash matrix: every mutating call of every scenario, at each moment, and pairs of them; several trials at once.

Each slot has addresses, a folder and snapshots of its own. Speed and lag of a trial are drawn from the seed and
its place in the matrix; its name holds them. Promises that every trial is told about, in the order in which they end.
Neighbours: `trial` carries one out, `__main__` and the tests ask for a part of the matrix.
"""

from __future__ import annotations

import queue
import random
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from tests.crash.program import Program
from tests.crash.scenarios import SCENARIOS, Scenario
from tests.crash.trial import Kill, Reference, Trial, Verdict, run_trial
from tests.crash.world import World

T = TypeVar("T")
S = TypeVar("S")
V = TypeVar("V")

MOMENTS = ("before", "after", "replied")
PARTS = ("api", "machines")
SPEEDS = (2.0, 5.0, 20.0)
LAGS = (0.0, 0.0, 0.3)
PAIRS = 100

Told = Callable[[Verdict], None]


@dataclass
class Slot:
    """Where trials happen one after the other. Slots start at the same snapshots, made by each itself."""

    number: int
    folder: Path
    program: Program
    snapshots: dict[str, Path] = field(default_factory=dict)
    _worlds: int = 0

    def run(self, trial: Trial, reference: Reference | None) -> Verdict:
        """Carry out one trial; what is left of one that failed stays in the folder."""
        snapshot = self.snapshot(trial.scenario.begin)
        self._worlds += 1
        world = World(self.folder / f"trial-{self._worlds}", self.number, self.program)
        verdict = run_trial(trial, world, snapshot, reference)
        if not verdict.failures:
            shutil.rmtree(world.folder)
        return verdict

    def snapshot(self, name: str | None) -> Path | None:
        """The folder with the end of a scenario, which is run for that when it is needed first."""
        if name is None:
            return None
        if name not in self.snapshots:
            world = World(self.folder / f"begin-{name}", self.number, self.program)
            verdict = run_trial(Trial(SCENARIOS[name]), world, None, None)
            if verdict.failures:
                raise AssertionError(f"{verdict.trial}: {'; '.join(verdict.failures)}")
            self.snapshots[name] = world.folder
        return self.snapshots[name]


def references(slot: Slot, scenarios: Iterable[Scenario]) -> dict[str, Verdict]:
    """An undisturbed run of each scenario."""
    return {each.name: slot.run(Trial(each), None) for each in scenarios}


def single_kills(known: dict[str, Reference], seed: int) -> Iterator[Trial]:
    """A trial for every call of every scenario at each moment."""
    for name, reference in known.items():
        for part in PARTS:
            for call in range(1, reference.calls[part] + 1):
                for moment in MOMENTS:
                    yield drawn(Trial(SCENARIOS[name], (Kill(part, call, moment),)), seed)


def slow_kills(known: dict[str, Reference]) -> Iterator[Trial]:
    """Once more at every call to a machine, while machines are so slow that the next engine finds them on their way."""
    for name, reference in known.items():
        scenario = SCENARIOS[name]
        for call in range(1, reference.calls["machines"] + 1):
            for moment in MOMENTS:
                yield Trial(scenario, (Kill("machines", call, moment),), scenario.slowest)


def double_kills(known: dict[str, Reference], seed: int, count: int = PAIRS) -> Iterator[Trial]:
    """Pairs of kills, the second one of the engine that was started after the first."""
    draw = random.Random(f"{seed}/pairs")
    names, told = sorted(known), set()
    while len(told) < count:
        name = names[len(told) % len(names)]
        first, second = (_any_kill(draw, known[name]) for _ in range(2))
        # What the first engine has done is not done again: the second one has fewer calls to be killed at.
        second = replace(second, call=1 + second.call // 2)
        if (name, first, second) not in told:
            told.add((name, first, second))
            yield drawn(Trial(SCENARIOS[name], (first, second)), seed)


def _any_kill(draw: random.Random, reference: Reference) -> Kill:
    part = draw.choice(PARTS)
    return Kill(part, draw.randint(1, reference.calls[part]), draw.choice(MOMENTS))


def drawn(trial: Trial, seed: int) -> Trial:
    """The trial with a speed and a lag that belong to its kills and the seed."""
    draw = random.Random(f"{seed}/{trial.scenario.name}/{'+'.join(map(str, trial.kills))}")
    return replace(trial, speed=draw.choice(SPEEDS), lag=draw.choice(LAGS))


def run_all(
    trials: Sequence[Trial],
    slots: Sequence[Slot],
    known: dict[str, Reference],
    told: Told,
    enough: Callable[[], bool] = lambda: False,
) -> list[Verdict]:
    """Carry out the trials on the slots at the same time; stops beginning new ones when there is `enough`."""
    return share_out(
        trials, slots, lambda slot, trial: _one(slot, trial, known[trial.scenario.name]), told, enough
    )


def share_out(
    trials: Sequence[T],
    slots: Sequence[S],
    run: Callable[[S, T], V],
    told: Callable[[V], None],
    enough: Callable[[], bool],
) -> list[V]:
    """Run trials of whatever kind on slots of theirs, one thread a slot; tells one verdict at a time."""
    waiting: queue.SimpleQueue[T] = queue.SimpleQueue()
    for trial in trials:
        waiting.put(trial)
    verdicts: list[V] = []
    lock = threading.Lock()

    def work(slot: S) -> None:
        while not enough():
            try:
                trial = waiting.get_nowait()
            except queue.Empty:
                return
            verdict = run(slot, trial)
            with lock:
                verdicts.append(verdict)
                told(verdict)

    threads = [threading.Thread(target=work, args=(slot,)) for slot in slots]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return verdicts


def _one(slot: Slot, trial: Trial, reference: Reference) -> Verdict:
    """The verdict on one trial; one that could not be carried out has not held."""
    began = time.monotonic()
    try:
        return slot.run(trial, reference)
    except Exception as error:  # noqa: BLE001  one trial less is no reason to lose all others
        said = f"not carried out: {type(error).__name__}: {error}"
        return Verdict(trial, (said,), (), time.monotonic() - began, reference)
