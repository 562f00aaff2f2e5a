"""`python -m tests.crash`: the crash matrix from the command line; exit code 1 when anything did not hold.

    python -m tests.crash                       the whole matrix
    python -m tests.crash --sample 60           so many trials of it, drawn by the seed, within --minutes
    python -m tests.crash --only NAME           one trial by its name
    python -m tests.crash --resume FILE         the rest of a run whose output FILE has

Prints a line a trial and a summary; failures come with the command that repeats them, and their folders are kept.
Neighbour: `matrix`.
"""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.crash.commandline import flags, held, times
from tests.crash.matrix import Slot, double_kills, references, run_all, single_kills, slow_kills
from tests.crash.program import program
from tests.crash.scenarios import SCENARIOS
from tests.crash.trial import Trial, Verdict


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for; the exit code."""
    parser = flags("python -m tests.crash", __doc__, slots=4)
    parser.add_argument("--scenario", metavar="NAME", help="only trials of this scenario")
    options = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="crash-"))
    began = time.monotonic()
    tested = program(folder)
    slots = [Slot(number, folder / f"slot-{number}", tested) for number in range(options.slots)]
    scenarios = [
        each
        for each in SCENARIOS.values()
        if each.measured and options.scenario in (None, each.name) and _wanted(options.only, each.name)
    ]
    print(f"seed {options.seed}, {options.slots} trials at a time, in {folder}", flush=True)
    undisturbed = references(slots[0], scenarios)
    for verdict in undisturbed.values():
        _tell(verdict, 0, 0)
    known = {name: verdict.reference for name, verdict in undisturbed.items()}
    if options.only:
        trials = [Trial.parse(name) for name in options.only]
    else:
        trials = [
            *single_kills(known, options.seed),
            *slow_kills(known),
            *double_kills(known, options.seed),
        ]
        random.Random(options.seed).shuffle(trials)
        past = held(options.resume) if options.resume else set()
        trials = [each for each in trials if str(each) not in past][: options.sample]
    done: list[Verdict] = []

    def told(verdict: Verdict) -> None:
        done.append(verdict)
        _tell(verdict, len(done), len(trials))

    late = began + (options.minutes or 1e9) * 60
    run_all(trials, slots, known, told, lambda: time.monotonic() > late)
    return _summary([*undisturbed.values()], done, len(trials), time.monotonic() - began, folder)


def _wanted(only: Sequence[str] | None, scenario: str) -> bool:
    return not only or any(name.startswith(f"{scenario}/") for name in only)


def _tell(verdict: Verdict, number: int, count: int) -> None:
    place = f"[{number}/{count}] " if count else ""
    word = "FAILED" if verdict.failures else "held"
    hit = (
        f", killed at {'; '.join(verdict.hit)}"
        if verdict.hit
        else ", not killed"
        if verdict.trial.kills
        else ""
    )
    print(f"{place}{verdict.trial}: {word} in {verdict.seconds:.1f} s{hit}", flush=True)
    for failure in verdict.failures:
        print(f"    {failure}", flush=True)


def _summary(
    undisturbed: Sequence[Verdict], done: Sequence[Verdict], count: int, seconds: float, folder: Path
) -> int:
    failed = [each for each in (*undisturbed, *done) if each.failures]
    for verdict in undisturbed:
        calls = verdict.reference.calls
        print(
            f"{verdict.trial.scenario.name}: {calls['api']} mutating requests, {calls['machines']} calls to machines"
        )
    hit = [each for each in done if each.hit]
    points = Counter(point for each in hit for point in each.hit)
    pairs = [each for each in done if len(each.trial.kills) > 1]
    if pairs:
        print(f"{len(pairs)} pairs, both kills met their call in {sum(len(each.hit) > 1 for each in pairs)}")
    print(
        f"{len(done)} of {count} trials, {len(hit)} with a kill, {sum(len(each.hit) for each in hit)} kills, {len(points)} kinds of points"
    )
    if done:
        print(times([each.seconds for each in done], seconds))
    print(f"{len(failed)} failed" + (f"; what is left of them is in {folder}" if failed else ""))
    for verdict in failed:
        print(f"  repeat: python -m tests.crash --slots 1 --only {verdict.trial}")
    if not failed:
        shutil.rmtree(folder)
    return 1 if failed or not done else 0


if __name__ == "__main__":
    sys.exit(main())
