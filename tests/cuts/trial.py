"""One trial: an act, where the backups go, what is done to it, and the verdict.

A trial's name says everything that it depends on, so that a name replays it:
`one/parts/kill.UploadPart2.after+kill.HeadObject1.before` kills the engine at its second part of an upload, after that was
carried out, and the next engine when it first looks. Neighbours: `plan` makes trials, `world` is where they happen, `oracles` judge.
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.crash.record import Object, look, objects_of, read
from tests.crash.secrets import leaks
from tests.cuts import oracles
from tests.cuts.acts import ACTS, BACKUP, Act, is_leaving, is_ready, is_true
from tests.cuts.disk import Order
from tests.cuts.oracles import Witness
from tests.cuts.places import BucketPlace
from tests.cuts.restoring import restore_each
from tests.cuts.world import PART, SNAPSHOT, BackupWorld

SIZES = {"folder": 704 << 10, "small": 704 << 10, "parts": PART + (512 << 10)}
"""Bytes of the database: the folder gets writes of 256 KiB, the bucket one request or parts of PART bytes."""
LONGEST_S = 180.0
"""Many times what an undisturbed one takes, on a machine that is busy."""
_LOOK_S = 0.2
_CALM_S = 0.8
"""Two periods, and a little more, in which nothing may be missing."""
_FULL_S = 1.0
_NAME = re.compile(r"(\w+)/(folder|small|parts)/([\w.+-]+)")


@dataclass(frozen=True)
class Injection:
    """`sort` is kill, clock, answer, disk, stream or delete; `words` what belongs to it."""

    sort: str
    words: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ".".join((self.sort, *self.words))

    def order(self) -> Order | None:
        """What happens at the store, if something does."""
        match self.sort, self.words:
            case "kill" | "clock" as sort, (call, moment):
                return Order(call, sort, moment)
            case (("answer" | "disk"), (call, what)):
                return Order(call, what)
        return None


@dataclass(frozen=True)
class Trial:
    """What is wanted, where to, and what is done to it, one after the other."""

    act: Act
    place: str
    injections: tuple[Injection, ...] = ()

    def __str__(self) -> str:
        return f"{self.act.name}/{self.place}/{'+'.join(map(str, self.injections)) or 'undisturbed'}"

    @classmethod
    def parse(cls, name: str) -> Trial:
        """The trial of that name; ValueError when it is none."""
        found = _NAME.fullmatch(name)
        if found is None or found[1] not in ACTS:
            raise ValueError(f"{name!r} is no trial; one is one/parts/kill.UploadPart2.after")
        said = [] if found[3] == "undisturbed" else found[3].split("+")
        injections = [Injection(first, tuple(rest)) for first, *rest in (each.split(".") for each in said)]
        return cls(ACTS[found[1]], found[2], tuple(injections))

    def all_of(self, *sorts: str) -> list[Injection]:
        """The injections of these sorts."""
        return [each for each in self.injections if each.sort in sorts]


@dataclass(frozen=True)
class Verdict:
    """`failures` empty: all held. `met`: the calls at which something was done; `calls`: all that the engine made to the store."""

    trial: Trial
    failures: tuple[str, ...]
    met: tuple[str, ...]
    seconds: float
    calls: tuple[str, ...] = ()
    complete: int = 0
    restored: int = 0
    """From how many backups, all that were complete at the end, etcd was brought back."""


@dataclass
class _Course:
    """How far a trial has come."""

    trial: Trial
    world: BackupWorld
    witness: Witness = field(default_factory=Witness)
    seen: set[str] = field(default_factory=set)
    later: bool = False
    changes: int = -1
    deletes: list[Injection] = field(default_factory=list)
    put_back: bool = False
    """Whether the clock is to be put back while a try that failed waits for the next one."""

    def look(self) -> list[Object]:
        """Look at everything once; the objects."""
        counted = self.world.counted()
        objects = objects_of(self.world)
        self.seen |= {each["metadata"]["name"] for each in objects if each["kind"] == BACKUP}
        place = self.world.place
        changes = place.changes() if isinstance(place, BucketPlace) else 0
        if changes != self.changes or not isinstance(place, BucketPlace):
            self.changes = changes
            holding = place.holding()
            self.witness.look(objects, objects_of(self.world), holding)
            self.witness.counts(counted, self.left(objects))
        return objects

    def left(self, objects: Sequence[Object]) -> int:
        """How many backups went, or are about to: theirs may have been whole between two looks."""
        stay = {
            each["metadata"]["name"] for each in objects if each["kind"] == BACKUP and not is_leaving(each)
        }
        return len(self.seen - stay)

    def user(self, objects: Sequence[Object]) -> str:
        """Let the user do what is his, and tell what is missing."""
        calls = len(self.world.place.calls())
        ready = any(is_ready(each) for each in objects if each["kind"] == BACKUP)
        for each in [one for one in self.deletes if ready or calls >= int(one.words[0])]:
            self.deletes.remove(each)
            self.world.delete(self.world.backup("one"))
        if self.deletes:
            return "the backup is not deleted yet"
        if self.put_back and any(is_true(each, "Failed") for each in objects if each["kind"] == BACKUP):
            assert self.world.engine is not None
            os.kill(self.world.engine.pid, signal.SIGUSR2)
            self.put_back = False
        self.later = self.later or self.trial.act.later(self.world, objects, self.seen)
        return self.trial.act.done(objects) if self.later else "the user has not done all that he wants to"


def run_trial(trial: Trial, world: BackupWorld, snapshot: Path) -> Verdict:
    """Carry a trial out in a world that has not begun; closes it."""
    began = time.monotonic()
    failures: list[str] = []
    try:
        world.begin(snapshot, SIZES[trial.place])
        begin = look(world).revision
        _order_streams(trial, world)
        trial.act.begin(world)
        course = _Course(trial, world, deletes=trial.all_of("delete"))
        course.put_back = any(each.words == ("waits",) for each in trial.all_of("clock"))
        failures += _go(course)
        failures += _come_to_rest(course)
        objects, holding = objects_of(world), world.place.holding()
        course.witness.look(objects, objects_of(world), holding)
        course.witness.counts(world.counted(), course.left(objects))
        failures += [*oracles.left_over(objects, holding), *oracles.keys_beside(objects, holding)]
        restored = 0
        if not failures:
            restored, wrong = restore_each(world, objects)
            failures += wrong
        failures += _ended(world)
        record = read(world, look(world), begin)
        failures += course.witness.wrong
        failures += oracles.history(record, course.witness)
        failures += oracles.one_key(record, world.place.calls())
        failures += leaks(record, (world.folder / "calls.jsonl", world.folder / "api.log"))
        complete = sum(map(len, course.witness.whole.values()))
        met, calls = tuple(world.place.met()), tuple(world.place.calls())
    finally:
        world.close()
    return Verdict(
        trial, tuple(dict.fromkeys(failures)), met, time.monotonic() - began, calls, complete, restored
    )


def _order_streams(trial: Trial, world: BackupWorld) -> None:
    for each in trial.all_of("stream"):
        how, count = each.words
        named = {"rate": float(count)} if how == "slow" else {"bytes": int(count)}
        world.order("machines", op="stream", method=SNAPSHOT, machine="*", how=how, **named)


def _go(course: _Course) -> list[str]:
    """An engine for each order; one that is killed at it is followed by the next one."""
    world, trial = course.world, course.trial
    orders = [order for each in trial.injections if (order := each.order()) is not None]
    behind = 0.0 if trial.all_of("clock") else None
    for order in orders:
        engine = world.run_engine(order, behind=behind)
        if order.does != "kill":
            return _until(course, lambda: bool(world.place.met()), heal=order.does == "full")
        before = len(world.place.met())
        failures = _until(course, lambda engine=engine: engine.poll() is not None)
        if engine.poll() is None or len(world.place.met()) == before:
            return failures
        course.look()
    world.run_engine(None, behind=behind)
    return []


def _until(course: _Course, met: Callable[[], bool], *, heal: bool = False) -> list[str]:
    """Until an order was carried out or all is done without that."""
    end = time.monotonic() + LONGEST_S
    calm = time.monotonic()
    while not met():
        objects = course.look()
        if course.user(objects):
            calm = time.monotonic()
        elif time.monotonic() - calm > _CALM_S:
            return []
        if time.monotonic() > end:
            return []
        time.sleep(_LOOK_S)
    if heal:
        time.sleep(_FULL_S)
        course.look()
        course.world.place.heal()
    return []


def _come_to_rest(course: _Course) -> list[str]:
    """Wait until all is done and stays so."""
    end, calm, missing, works = time.monotonic() + LONGEST_S, time.monotonic(), "?", False
    while time.monotonic() < end:
        engine = course.world.engine
        assert engine is not None
        if engine.poll() is not None:
            return [f"the engine ended by itself with {engine.poll()}"]
        works = works or course.world.engine_works()
        missing = course.user(course.look())
        if missing or not works:
            calm = time.monotonic()
        elif time.monotonic() - calm > _CALM_S:
            return []
        time.sleep(_LOOK_S)
    return [f"not done within {LONGEST_S:g} s: {missing}"]


def _ended(world: BackupWorld) -> list[str]:
    assert world.engine is not None
    code = world.engine.poll()
    code = world.stop_engine() if code is None else code
    return [] if code == 0 else [f"the engine ended with {code} when asked to end"]
