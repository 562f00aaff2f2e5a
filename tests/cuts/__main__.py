"""`python -m tests.cuts`: backups of etcd under everything that can go wrong; exit code 1 when something did not hold.

    python -m tests.cuts                     all trials
    python -m tests.cuts --sample 40         so many of them, drawn by the seed, within --minutes
    python -m tests.cuts --only NAME         one trial by its name
    python -m tests.cuts --resume FILE       the rest of a run whose output FILE has

Prints a line a trial and a table; failures come with the command that repeats them, and their folders are kept.
Neighbour: `plan`.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.crash import matrix
from tests.crash.commandline import flags, held, times
from tests.crash.program import program
from tests.cuts.plan import UNDISTURBED, Slot, run_all, whole
from tests.cuts.trial import Trial, Verdict
from tests.cuts.world import HURRIES
from tests.unit.stores.s3_server import moto_server

_SORTS = ("kill", "stream", "answer", "disk", "clock", "delete")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for; the exit code."""
    options = flags("python -m tests.cuts", __doc__, slots=2).parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="cuts-"))
    began = time.monotonic()
    tested = program(folder, hurries=HURRIES)
    print(f"seed {options.seed}, {options.slots} trials at a time, in {folder}", flush=True)
    done: list[Verdict] = []
    count = 0

    def told(verdict: Verdict) -> None:
        done.append(verdict)
        _tell(verdict, len(done), count)

    late = began + (options.minutes or 1e9) * 60
    with ExitStack() as stack:
        slots = []
        for number in range(options.slots):
            place = folder / f"slot-{number}"
            place.mkdir()
            port = stack.enter_context(moto_server(place))
            slots.append(Slot(matrix.Slot(number, place / "begin", tested), port, tested, place))
        if options.only:
            trials = [Trial.parse(name) for name in options.only]
            count = len(trials)
        else:
            count = len(UNDISTURBED)
            run_all(UNDISTURBED, slots, told)
            known = {str(each.trial).rpartition("/")[0]: each.calls for each in done}
            past = held(options.resume) if options.resume else set()
            trials = [each for each in whole(known, options.seed) if str(each) not in past][: options.sample]
            count += len(trials)
        run_all(trials, slots, told, lambda: time.monotonic() > late)
    return _summary(done, count, time.monotonic() - began, folder)


def _tell(verdict: Verdict, number: int, count: int) -> None:
    word = "FAILED" if verdict.failures else "held"
    met = f", at {'; '.join(verdict.met)}" if verdict.met else ""
    print(f"[{number}/{count}] {verdict.trial}: {word} in {verdict.seconds:.1f} s{met}", flush=True)
    for failure in verdict.failures:
        print(f"    {failure}", flush=True)


def _summary(done: Sequence[Verdict], count: int, seconds: float, folder: Path) -> int:
    failed = [each for each in done if each.failures]
    print(
        "\n| Done to it | Trials | Met its call | Whole snapshots published | Restored | Failed |\n|---|---|---|---|---|---|"
    )
    for sort in ("nothing", *_SORTS):
        those = [each for each in done if _is_of(each.trial, sort)]
        print(_row(sort, those))
    kills = sum("kill" in call.split() for each in done for call in each.met)
    print(f"{_row('all', done)}\n")
    print(f"{len(done)} of {count} trials, {kills} kills; {len(failed)} failed", end="")
    print(
        f"; with none of n failing, the rate of failures is below 3/n = {300 / max(1, len(done)):.1f} % (95 %)"
    )
    if done:
        print(times([each.seconds for each in done], seconds))
    if failed:
        print(f"what is left of those that failed is in {folder}")
    for verdict in failed:
        print(f"  repeat: python -m tests.cuts --slots 1 --only {verdict.trial}")
    if not failed:
        shutil.rmtree(folder)
    return 1 if failed or not done else 0


def _row(name: str, verdicts: Sequence[Verdict]) -> str:
    met, failed = sum(bool(each.met) for each in verdicts), sum(bool(each.failures) for each in verdicts)
    whole_ones, restored = sum(each.complete for each in verdicts), sum(each.restored for each in verdicts)
    return f"| {name} | {len(verdicts)} | {met} | {whole_ones} | {restored} | {failed} |"


def _is_of(trial: Trial, sort: str) -> bool:
    return not trial.injections if sort == "nothing" else bool(trial.all_of(sort))


if __name__ == "__main__":
    sys.exit(main())
