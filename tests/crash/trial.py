"""One trial: a scenario, the kills in it, and the verdict.

A trial's name says everything that it depends on, so that a name replays it:
`change/api.17.after+machines.2.before/x5/lag0.3` kills the engine at the 17th mutating request to the API after
the scenario began, the next one at its second mutating call to a machine, while the machines live five times as fast
as normal and watches lag by 0.3 s. Neighbours: `matrix` makes trials, `world` is where they happen.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.crash.canonical import canonical, differences
from tests.crash.effects import effects
from tests.crash.invariants import CHECKS
from tests.crash.nursery import Child
from tests.crash.program import PERIOD_S, PERIODS
from tests.crash.record import Record, look, read
from tests.crash.scenarios import SCENARIOS, Scenario
from tests.crash.secrets import leaks
from tests.crash.world import World

LONGEST_S = 180.0
"""A trial that has not come to rest by then has failed (O6): five times what an undisturbed one takes, on a machine that is busy."""
_QUIET_S = PERIOD_S * PERIODS + 0.1
_LOOK_S = 0.3
_SHOWN = 12


@dataclass(frozen=True)
class Kill:
    """At the `call`-th mutating call to `part` ("api" or "machines"), at this `moment` of it."""

    part: str
    call: int
    moment: str

    def __str__(self) -> str:
        return f"{self.part}.{self.call}.{self.moment}"


@dataclass(frozen=True)
class Trial:
    """What is done, to which speed and lag (seconds) of the world around."""

    scenario: Scenario
    kills: tuple[Kill, ...] = ()
    speed: float = 20.0
    lag: float = 0.0

    def __str__(self) -> str:
        kills = "+".join(map(str, self.kills)) or "undisturbed"
        return f"{self.scenario.name}/{kills}/x{self.speed:g}" + (f"/lag{self.lag:g}" if self.lag else "")

    @classmethod
    def parse(cls, name: str) -> Trial:
        """The trial of that name; ValueError when it is none."""
        found = re.fullmatch(r"(\w+)/([\w.+]+)/x([\d.]+)(?:/lag([\d.]+))?", name)
        if found is None or found[1] not in SCENARIOS:
            raise ValueError(f"{name!r} is no trial; one is change/api.17.after/x5")
        kills = [] if found[2] == "undisturbed" else [each.split(".") for each in found[2].split("+")]
        return cls(
            SCENARIOS[found[1]],
            tuple(Kill(part, int(call), moment) for part, call, moment in kills),
            float(found[3]),
            float(found[4] or 0),
        )


@dataclass(frozen=True)
class Reference:
    """How an undisturbed run ended (O1), with which effects (O2) and how many calls there are to kill at."""

    world: Mapping[str, Any]
    effects: Counter[str]
    calls: Mapping[str, int]


@dataclass(frozen=True)
class Verdict:
    """`failures` empty: all held. `hit` names the calls at which the engine was killed, `seconds` what it took."""

    trial: Trial
    failures: tuple[str, ...]
    hit: tuple[str, ...]
    seconds: float
    reference: Reference


def run_trial(trial: Trial, world: World, snapshot: Path | None, reference: Reference | None) -> Verdict:
    """Carry a trial out in a world that has not begun; closes it. Without a reference it makes one."""
    began = time.monotonic()
    failures: list[str] = []
    try:
        world.start(snapshot, trial.scenario.machines)
        begin = look(world).revision
        world.speed(trial.speed)
        world.order("api", op="lag", seconds=trial.lag)
        trial.scenario.act(world, trial.scenario)
        world.count("api")
        world.calls["api"].clear()
        _kill_one_after_the_other(trial, world)
        failures += _come_to_rest(trial, world)
        code = _stopped(world)
        if code != 0:
            failures.append(f"O5: the engine ended with {code} when asked to end")
        record = read(world, look(world), begin)
        failures += _judged(trial, record, world, reference)
    finally:
        world.close()
    counts = {
        part: sum(1 for _ in calls)
        for part, calls in (("api", record.sight.requests), ("machines", record.sight.calls))
    }
    hit = tuple(_told(call) for call in (*record.sight.requests, *record.sight.calls) if call["killed"])
    made = Reference(canonical(record), effects(record), counts)
    return Verdict(trial, tuple(failures), hit, time.monotonic() - began, made)


def _kill_one_after_the_other(trial: Trial, world: World) -> None:
    """Start an engine for each kill, and the last one that lives. One whose call never comes lives on."""
    for kill in trial.kills:
        engine = world.start_engine()
        world.count(kill.part, pid=engine.pid, call=kill.call, moment=kill.moment)
        if not _killed(trial, world, engine, kill):
            world.count(kill.part)
            return
    world.start_engine()


def _killed(trial: Trial, world: World, engine: Child, kill: Kill) -> bool:
    """Wait until the engine is killed; False when all was done before its call came."""
    end, calm, last = time.monotonic() + LONGEST_S, 0.0, None
    while engine.poll() is None and time.monotonic() < end:
        sight = look(world)
        if sight.activity != last or trial.scenario.done(sight):
            calm, last = time.monotonic(), sight.activity
        elif time.monotonic() - calm > _QUIET_S:
            return False
        time.sleep(_LOOK_S)
    return engine.poll() is not None


def _come_to_rest(trial: Trial, world: World) -> list[str]:
    """Wait until all is done and nothing is written for five periods (O4, O6)."""
    end, calm, last, why = time.monotonic() + LONGEST_S, 0.0, None, "?"
    later = works = False
    while time.monotonic() < end:
        assert world.engine is not None
        if world.engine.poll() is not None:
            return [f"O5: the engine ended by itself with {world.engine.poll()}"]
        works = works or world.engine_works()
        sight = look(world)
        later = later or trial.scenario.later(world, trial.scenario, sight)
        why = trial.scenario.done(sight) if later else "the user has not done all that he wants to"
        if sight.activity != last or why or not works:
            calm, last = time.monotonic(), sight.activity
        elif time.monotonic() - calm > _QUIET_S:
            return []
        time.sleep(_LOOK_S)
    return [f"O6: not done within {LONGEST_S:g} s: {why}" if why else "O4: it does not come to rest"]


def _stopped(world: World) -> int | None:
    assert world.engine is not None
    code = world.engine.poll()
    return world.stop_engine() if code is None else code


def _judged(trial: Trial, record: Record, world: World, reference: Reference | None) -> list[str]:
    failures = [said for check in CHECKS for said in check(record)]
    failures += leaks(record, (world.folder / "calls.jsonl", world.folder / "api.log"))
    if "Traceback" in record.printed:
        failures.append("O5: a traceback in the output of the engine")
    if reference is not None:
        seen = effects(record)
        failures += [f"O1: {each}" for each in differences(reference.world, canonical(record))][:_SHOWN]
        failures += [
            f"O2: {each} {seen[each]} times, {reference.effects[each]} in the reference"
            for each in sorted(seen.keys() | reference.effects.keys())
            if seen[each] != reference.effects[each] and not trial.scenario.races
        ]
    return failures


def _told(call: Mapping[str, Any]) -> str:
    if "method" in call:
        return f"{call['method'].rpartition('/')[2]} {call['killed']}"
    words = (call["verb"], call["kind"], call["subresource"], call["killed"])
    return " ".join(word for word in words if word)
