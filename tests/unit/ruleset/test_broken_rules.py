"""The golden table of broken rules: each file makes one mistake, `expected.yaml` says how it is told."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from engine.base.assets import asset
from engine.base.yamlnodes import parse_document, plain
from engine.ruleset.catalog import Catalog, load_catalog
from engine.ruleset.errors import RuleError, RuleErrors
from engine.ruleset.load import load_rules

FOLDER = Path(__file__).resolve().parents[2] / "golden" / "broken-rules"
EXPECTED: dict[str, list[dict[str, Any]]] = plain(
    parse_document((FOLDER / "expected.yaml").read_text("utf-8"), "expected.yaml")
)


@cache
def catalog() -> Catalog:
    return load_catalog(asset("schemas"))


def mistakes(path: Path) -> tuple[RuleError, ...]:
    with pytest.raises(RuleErrors) as caught:
        load_rules([path], catalog())
    return caught.value.errors


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_each_mistake_is_told_at_its_place_with_what_to_do(name: str) -> None:
    told = [
        {
            "at": f"{error.line}:{error.column}",
            **({} if Path(error.file).name == name else {"file": str(Path(error.file).relative_to(FOLDER))}),
            "code": error.code,
            "message": error.message.replace(str(FOLDER), "<here>"),
            "hint": error.hint.replace(str(FOLDER), "<here>"),
        }
        for error in mistakes(FOLDER / name)
    ]
    assert told == EXPECTED[name]


def test_the_table_and_the_files_are_the_same_set() -> None:
    assert sorted(path.name for path in FOLDER.glob("[0-9]*.yaml")) == sorted(EXPECTED)
    assert len(EXPECTED) >= 45


def test_an_error_shows_its_line_and_a_caret_under_the_place() -> None:
    (error,) = mistakes(FOLDER / "27-unknown-spec-field.yaml")
    line, caret = error.excerpt.splitlines()
    assert line[caret.index("^") :].startswith("endpont")


def test_all_mistakes_of_all_files_are_told_at_once() -> None:
    names = ["08-misspelt-step-key.yaml", "27-unknown-spec-field.yaml", "55-no-hazard.yaml"]
    with pytest.raises(RuleErrors) as caught:
        load_rules([FOLDER / name for name in names], catalog())
    assert {Path(error.file).name for error in caught.value.errors} == set(names)


def test_a_mistake_of_shape_does_not_hide_the_others_of_its_file(tmp_path: Path) -> None:
    text = (FOLDER / "08-misspelt-step-key.yaml").read_text("utf-8").replace("'configured'", "'confgured'")
    (tmp_path / "rule.yaml").write_text(text, "utf-8")
    assert [error.code for error in mistakes(tmp_path / "rule.yaml")] == ["not-in-enum", "unknown-key"]
