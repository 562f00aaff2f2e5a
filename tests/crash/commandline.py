"""What the programs of trials have in common on the command line. Neighbours: `tests.crash` and `tests.cuts`, which are two."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Sequence
from pathlib import Path

_SEED = 20261128


def flags(program: str, description: str, *, slots: int) -> argparse.ArgumentParser:
    """Which trials, how many at a time, and for how long; `slots` is how many when nothing is said."""
    parser = argparse.ArgumentParser(prog=program, description=description.partition("\n")[0])
    parser.add_argument("--sample", type=int, metavar="N", help="only N trials, drawn by the seed")
    parser.add_argument("--only", metavar="NAME", action="append", help="one trial by its name; repeatable")
    parser.add_argument("--seed", type=int, default=int(os.environ.get("TALOS_OPERATOR_TEST_SEED", _SEED)))
    parser.add_argument("--slots", type=int, default=slots, help="trials at the same time")
    parser.add_argument(
        "--resume", type=Path, metavar="FILE", help="without what held by this earlier output"
    )
    parser.add_argument("--minutes", type=float, help="begin no trial after so many minutes")
    return parser


def held(output: Path) -> set[str]:
    """The trials that held in an earlier run, by what it printed."""
    return set(re.findall(r"^\[\d+/\d+\] (\S+): held in", output.read_text(), re.MULTILINE))


def times(seconds: Sequence[float], whole: float) -> str:
    """How long trials took, each and all of them; there is at least one."""
    ordered = sorted(seconds)
    middle = ordered[len(ordered) // 2]
    return f"seconds a trial: median {middle:.1f}, longest {ordered[-1]:.1f}; {whole:.0f} s in all"
