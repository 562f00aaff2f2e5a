"""The engine under test: the shipped program, with rules whose resting periods are short.

Promises that nothing else of the rules differs, and says so loudly when there is no period left to shorten.
An object that is Ready is looked at every 60 s; here every half second, so that five periods pass in
2.5 s. Neighbours: `world` starts it, `seeded` makes patched copies of it.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PERIOD_S = 0.5
PERIODS = 5

_RESTING = re.compile(r"\b(value|every): (60s|5m)\b")
_FEWEST_PERIODS = 4
"""At least one for each of the four kinds."""


@dataclass(frozen=True)
class Program:
    """A checkout (`root` holds engine and schemas), the rules that it is to run with, and where it keeps compiled code."""

    root: Path
    rules: Path
    compiled: Path


@dataclass(frozen=True)
class Hurry:
    """One more thing that is to go faster: in this file of the rules this text in place of that."""

    file: str
    find: str
    put: str


def program(folder: Path, root: Path = ROOT, hurries: Sequence[Hurry] = ()) -> Program:
    """The program of `root` with its rules, hurried, in `folder`."""
    rules = folder / "rules"
    shutil.copytree(root / "rules", rules, ignore=shutil.ignore_patterns("tests"))
    shortened = 0
    for file in rules.rglob("*.yaml"):
        text, count = _RESTING.subn(rf"\1: {int(PERIOD_S * 1000)}ms", file.read_text())
        file.write_text(text)
        shortened += count
    if shortened < _FEWEST_PERIODS:
        raise AssertionError(
            f"only {shortened} resting periods (60s, 5m) were found in {root / 'rules'}; tell `program` how they are written now"
        )
    for hurry in hurries:
        text = (rules / hurry.file).read_text()
        if text.count(hurry.find) != 1:
            raise AssertionError(f"{hurry.file} does not have {hurry.find!r} once; say how it is written now")
        (rules / hurry.file).write_text(text.replace(hurry.find, hurry.put))
    return Program(root, rules, folder / "compiled")
