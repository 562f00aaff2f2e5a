"""Copies of the program with a bug put in, to show that the matrix finds it.

The bugs are data (`seeded_bugs.yaml`). Promises that an edit whose text is not there exactly once is an
AssertionError that names it. Neighbours: `test_seeded` runs them.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.crash.program import ROOT, Hurry, Program, program

_COPIED = ("engine", "rules", "schemas")


@dataclass(frozen=True)
class Bug:
    """`edits` are (file, text, its replacement); `trials` show the bug, by one of `oracles`."""

    name: str
    edits: tuple[tuple[str, str, str], ...]
    trials: tuple[str, ...]
    oracles: tuple[str, ...]


def bugs(listed_in: Path = Path(__file__).parent / "seeded_bugs.yaml") -> list[Bug]:
    """All of them."""
    listed = yaml.safe_load(listed_in.read_text())
    return [
        Bug(
            each["name"],
            tuple((edit["file"], edit["find"], edit["put"]) for edit in each["edits"]),
            tuple(each["trials"]),
            tuple(each["oracles"]),
        )
        for each in listed
    ]


def with_bug(bug: Bug, folder: Path, hurries: Sequence[Hurry] = ()) -> Program:
    """A copy of the program with the bug, in `folder`."""
    root = folder / "patched"
    for part in _COPIED:
        shutil.copytree(ROOT / part, root / part, ignore=shutil.ignore_patterns("__pycache__", "tests"))
    for name, find, put in bug.edits:
        file = root / name
        text = file.read_text() if file.exists() else ""
        if text.count(find) != 1:
            raise AssertionError(
                f"the bug {bug.name!r} no longer applies: {name} has its text {text.count(find)} times; say it anew"
            )
        file.write_text(text.replace(find, put))
    return program(folder, root, hurries)
