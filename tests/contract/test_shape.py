"""Files short enough to read, each telling what it promises, named for what it does."""

from __future__ import annotations

import ast
import re
import statistics

from tests.contract.sources import ROOT, engine

LONGEST_FILE = 400
LONGEST_MEDIAN = 160
LONGEST_RULE = 200
LONGEST_FUNCTION = 60
EMPTY_NAMES = {"common", "handler", "helper", "helpers", "manager", "misc", "stuff", "util", "utils"}
UNFINISHED = re.compile(r"#.*\b(TODO|FIXME|XXX|HACK)\b")

WRITTEN = [source for source in engine() if source.text.strip()]


def test_no_file_is_too_long_to_read_in_one_sitting(record_property):
    sizes = {source.where: source.lines for source in WRITTEN}
    record_property("median_lines", statistics.median(sizes.values()))
    record_property("longest_file", max(sizes, key=lambda where: sizes[where]))
    assert {where: lines for where, lines in sizes.items() if lines > LONGEST_FILE} == {}


RULES = [path for path in sorted((ROOT / "rules").rglob("*.yaml")) if "tests" not in path.parts]


def test_a_rules_file_begins_with_what_it_is_about():
    heads = {str(path.relative_to(ROOT)): path.read_text("utf-8").splitlines()[0] for path in RULES}
    assert [
        where for where, head in heads.items() if not head.startswith("# ") or len(head.split()) < 6
    ] == []


def test_no_shipped_rules_file_exceeds_200_lines():
    sizes = {str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in RULES}
    assert len(sizes) >= 6
    assert {where: lines for where, lines in sizes.items() if lines > LONGEST_RULE} == {}


def test_half_of_the_files_are_short():
    assert statistics.median(source.lines for source in WRITTEN) <= LONGEST_MEDIAN


def test_a_module_begins_with_what_it_promises():
    heads = {source.where: ast.get_docstring(source.tree) or "" for source in WRITTEN}
    assert [where for where, head in heads.items() if len(head.split()) < 6] == []


def test_functions_are_read_in_one_glance():
    long = {
        f"{source.where}:{node.lineno} {node.name}": node.end_lineno - node.lineno + 1
        for source in WRITTEN
        for node in ast.walk(source.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno - node.lineno + 1 > LONGEST_FUNCTION
    }
    assert long == {}


def test_no_module_is_named_for_nothing_in_particular():
    named = [
        source.where for source in engine() for word in source.path.stem.split("_") if word in EMPTY_NAMES
    ]
    assert named == []


def test_nothing_is_left_for_later():
    left = [
        f"{path.relative_to(ROOT)}:{number}"
        for folder in ("engine", "rules", "schemas", "examples")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".py", ".yaml", ".proto"}
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if UNFINISHED.search(line)
    ]
    assert left == []
