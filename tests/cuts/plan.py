"""Which trials there are, and how several of them run at the same time.

Neighbours: `trial` carries one out, `__main__` and the tests ask for a part of them.
"""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.crash import matrix
from tests.crash.program import Program
from tests.cuts.places import ANSWERS
from tests.cuts.trial import SIZES, Trial, Verdict, run_trial
from tests.cuts.world import PART, BackupWorld

Told = Callable[[Verdict], None]


@dataclass
class Slot:
    """Where trials happen one after the other: the addresses and the end of a bring-up of `begin`, an S3 server, a folder."""

    begin: matrix.Slot
    moto: int
    program: Program
    folder: Path
    _worlds: int = 0

    def run(self, trial: Trial) -> Verdict:
        """Carry out one trial; what is left of one that failed stays in the folder."""
        snapshot = self.begin.snapshot("single")
        assert snapshot is not None
        self._worlds += 1
        folder = self.folder / f"trial-{self._worlds}"
        world = BackupWorld(
            folder, self.begin.number, self.program, None if trial.place == "folder" else self.moto
        )
        began = time.monotonic()
        try:
            verdict = run_trial(trial, world, snapshot)
        except Exception as error:  # noqa: BLE001  one trial less is no reason to lose all others
            said = f"not carried out: {type(error).__name__}: {error}"
            verdict = Verdict(trial, (said,), (), time.monotonic() - began)
        if not verdict.failures:
            shutil.rmtree(folder)
        return verdict


def run_all(
    trials: Sequence[Trial], slots: Sequence[Slot], told: Told, enough: Callable[[], bool] = lambda: False
) -> None:
    """Carry out the trials on the slots at the same time; begins no new one when there is `enough`."""
    matrix.share_out(trials, slots, lambda slot, trial: slot.run(trial), told, enough)


UNDISTURBED = tuple(
    Trial.parse(f"{name}/undisturbed")
    for name in (
        "one/folder",
        "one/small",
        "one/parts",
        "gone/folder",
        "gone/small",
        "gone/parts",
        "pair/folder",
        "pair/parts",
        "beside/folder",
        "often/folder",
        "often/parts",
    )
)
"""Every act that there is, with nothing done to it; how many calls it makes says where something can be done."""
Calls = Mapping[str, Sequence[str]]
"""The calls of an undisturbed act, by `act/place`."""

_MOMENTS = ("before", "after", "replied")
_ERRNOS = ("EIO", "ENOSPC", "EDQUOT", "EROFS")
_KIB = 1 << 10


def whole(calls: Calls, seed: int) -> list[Trial]:
    """All trials, in an order drawn by the seed."""
    draw = random.Random(f"{seed}/cuts")
    names = dict.fromkeys(
        (*_kills(calls, draw), *_streams(draw), *_answers(calls, draw), *_disks(calls, draw))
    )
    names |= dict.fromkeys((*_clocks(calls, draw), *_deletions(calls, draw)))
    listed = list(names)
    draw.shuffle(listed)
    return [Trial.parse(name) for name in listed]


def _kills(calls: Calls, draw: random.Random) -> Iterator[str]:
    """At every call of one backup and of its end, at each moment; at drawn calls of the other acts; and twice."""
    for act in ("one/folder", "one/small", "one/parts", "gone/folder", "gone/small"):
        before = _points(calls[act.replace("gone", "one")]) if act.startswith("gone") else []
        for point in [each for each in _points(calls[act]) if each not in before]:
            for moment in _MOMENTS:
                yield f"{act}/kill.{point}.{moment}"
            if point.startswith("write"):
                yield f"{act}/kill.{point}.half"
    for moment in _MOMENTS:
        yield f"one/parts/stream.end.{PART + 5000}+kill.AbortMultipartUpload1.{moment}"
        yield f"one/parts/kill.UploadPart1.after+kill.AbortMultipartUpload1.{moment}"
    for act, count in (("pair/folder", 6), ("pair/parts", 6), ("beside/folder", 4)):
        yield from (f"{act}/{_kill(calls[act], draw)}" for _ in range(count))
    for act in ("often/folder", "often/parts"):
        yield from (f"{act}/{_kill(calls[act], draw)}" for _ in range(6))
    for act in ("one/folder", "one/parts", "pair/folder", "often/folder"):
        yield from (f"{act}/{_kill(calls[act], draw)}+{_kill(calls[act], draw)}" for _ in range(2))


def _points(calls: Sequence[str]) -> list[str]:
    """The calls that something can be done at; of the looks, as many as there happen to be, the first three."""
    named = [call.split()[0] for call in calls]
    looks = [each for each in named if each.startswith("HeadObject")]
    return [each for each in named if each not in looks or each in looks[:3]]


def _kill(calls: Sequence[str], draw: random.Random) -> str:
    return f"kill.{draw.choice(_points(calls))}.{draw.choice(_MOMENTS)}"


def _streams(draw: random.Random) -> Iterator[str]:
    """Cut at every 64 KiB and a byte beside, at what the engine writes and sends at once, at both ends; flipped; slow."""
    size = SIZES["folder"]
    for place in range(0, size + 1, 64 * _KIB):
        for count in (place - 1, place, place + 1):
            if count >= 0:
                yield f"one/folder/stream.{draw.choice(('cut', 'end'))}.{count}"
    for place in (256 * _KIB, PART, SIZES["parts"]):
        for count in (place - 1, place, place + 1):
            yield f"one/parts/stream.{draw.choice(('cut', 'end'))}.{count}"
    for count in (0, 1, 4095, size - 1, *(draw.randrange(size) for _ in range(3))):
        yield f"one/small/stream.corrupt.{count}"
    for count in (0, 1, 31):  # the digest itself
        yield f"one/folder/stream.corrupt.{size + count}"
    yield f"one/parts/stream.corrupt.{PART + draw.randrange(256 * _KIB)}"
    for count in (1, 31, 32, 33, 512, 1024):
        yield f"one/small/stream.short.{count}"
    yield from ("one/folder/stream.slow.700000", "pair/parts/stream.slow.6000000")
    yield "one/folder/stream.silent.300000"
    yield from (
        f"one/parts/stream.end.{draw.randrange(PART)}+stream.corrupt.{draw.randrange(PART)}" for _ in range(2)
    )


def _answers(calls: Calls, draw: random.Random) -> Iterator[str]:
    """Some of the answers at every call of one backup to a bucket; over the seeds each comes everywhere."""
    for act, each in (("one/small", 4), ("one/parts", 3), ("gone/small", 1)):
        for point in _points(calls[act]):
            for what in draw.sample(sorted(ANSWERS), each):
                yield f"{act}/answer.{point}.{what}"
    for what in ("403", "404-upload", "500", "cut-after"):
        yield f"one/parts/stream.end.{PART + 5000}+answer.AbortMultipartUpload1.{what}"


def _disks(calls: Calls, draw: random.Random) -> Iterator[str]:
    """A disk that is full from a call on, for a while; one that fails once; a write that takes half."""
    for number, point in enumerate(_points(calls["one/folder"])):
        if number % 2:
            yield f"one/folder/disk.{point}.{draw.choice(_ERRNOS)}"
        if number % 3 == 0:
            yield f"one/folder/disk.{point}.full"
        if point.startswith("write"):
            yield f"one/folder/disk.{point}.short"
    for point in ("write5", "open7"):
        yield f"often/folder/disk.{point}.full"


def _clocks(calls: Calls, draw: random.Random) -> Iterator[str]:
    """The clock goes back by an hour, also while a try that failed waits for the next one."""
    for act in ("one/folder", "one/parts", "beside/folder"):
        for _ in range(2):
            yield f"{act}/clock.{draw.choice(_points(calls[act]))}.before"
    for place in ("folder", "small"):
        for how in ("end", "corrupt"):
            yield f"one/{place}/stream.{how}.400000+stream.{how}.500000+clock.waits"


def _deletions(calls: Calls, draw: random.Random) -> Iterator[str]:
    """The backup is deleted while its job runs, in a stream that is slow enough for that; and killed in it."""
    for count in (1, 5, 6, 7, 8, 11):
        yield f"gone/folder/stream.slow.1500000+delete.{count}"
    for count in (1, 4, 8, 12, 16, 20):
        yield f"gone/parts/stream.slow.6000000+delete.{count}"
    for act in ("gone/folder", "gone/parts"):
        for _ in range(3):
            yield f"{act}/delete.{draw.randint(3, 10)}+{_kill(calls[act], draw)}"
