"""docs/compatibility.md: every row of the checklist is there once, and every test that it names exists."""

from __future__ import annotations

import ast
import re

import pytest

from tests.contract.sources import ROOT

TEXT = (ROOT / "docs" / "compatibility.md").read_text("utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("| \n").split(" | ")]
    for line in TEXT.splitlines()
    if re.match(r"\| \d", line)
]
CHECKLIST = [*range(1, 45), *range(62, 108)]


def functions_in(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_row_of_the_checklist_is_there_once_in_order():
    assert [int(row[0]) for row in ROWS] == CHECKLIST
    assert [row for row in ROWS if len(row) != 4] == []


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"row {row[0]}")
def test_a_row_says_whether_it_holds_and_names_tests_that_exist(row: list[str]) -> None:
    _, behaviour, holds, shown = row
    assert behaviour
    word = re.fullmatch(r"(yes|differs: .+|not yet.*)", holds)
    assert word, holds
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", shown)
    golden = re.findall(r"golden `([\w/-]+)`", shown)
    assert [f"{path}::{name}" for path, name in named if name not in functions_in(path)] == []
    assert [case for case in golden if not (ROOT / "rules" / "tests" / case / "expect.yaml").is_file()] == []
    assert re.sub(r"`[^`]*`|golden|<br>|[ -]", "", shown) == "", "something is no test"
    assert named or golden or holds.startswith("not yet"), "no test shows it"
