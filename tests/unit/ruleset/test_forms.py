"""Values of rule files: what becomes of Unknown, null, omit() and `key?`."""

from __future__ import annotations

from typing import Any

import pytest

from engine.base.errors import ExpressionError
from engine.base.values import OMIT, Unknown
from engine.base.yamlnodes import parse_document
from engine.expr import Scope
from engine.expr.facts import path_of
from engine.ruleset.build import Builder
from engine.ruleset.errors import Report
from engine.ruleset.forms import AllForm, Compiled

FAILED = Unknown("obs.x", "nobody answered")
SKIPPED = Unknown("obs.y", "not wanted", skipped=True)


def form(text: str, field: str = "") -> Compiled:
    report = Report()
    builder = Builder(
        report, lambda expression: (path_of(expression.node, None) or ())[:2] == ("self", "spec")
    )
    made = builder.form(parse_document(text, "rule.yaml"), field)
    report.raise_if_any()
    return made


def evaluate(text: str, field: str = "", **names: Any) -> Any:
    return form(text, field).evaluate(Scope({"self": {"spec": {}, "status": {}}, "obs": {}, **names}))


def test_a_scalar_that_is_one_expression_keeps_its_type() -> None:
    assert evaluate("${self.spec}") == {}
    assert evaluate("a: ${obs.n}", obs={"n": 3}) == {"a": 3}


def test_omitted_entries_are_dropped_from_maps_and_lists() -> None:
    assert evaluate("a: ${omit()}\nb: [1, '${omit()}', 2]") == {"b": [1, 2]}


def test_unknown_stays_where_it_is() -> None:
    assert evaluate("a: ${obs.x}\nb: 1", obs={"x": FAILED}) == {"a": FAILED, "b": 1}


def test_an_optional_key_goes_with_a_skipped_read_but_not_with_a_failed_one() -> None:
    assert evaluate("a?: ${obs.y}", obs={"y": SKIPPED}) == {}
    assert evaluate("a?: ${obs.x}", obs={"x": FAILED}) == {"a": FAILED}


def test_an_optional_key_goes_with_an_unset_spec_field_but_not_with_an_absent_object() -> None:
    assert evaluate("a?: ${self.spec.machine}") == {}
    assert evaluate("a?: ${obs.map}", obs={"map": None}) == {"a": None}


def test_keys_may_be_computed() -> None:
    assert evaluate('"${obs.name}.yaml": 1', obs={"name": "x"}) == {"x.yaml": 1}


CASES = 'cases:\n  - {when: "${obs.up}", value: Up}\nelse: Down\ninitially: Pending\n'


@pytest.mark.parametrize(("up", "word"), [(True, "Up"), (False, "Down")])
def test_the_first_true_case_decides(up: bool, word: str) -> None:
    assert evaluate(CASES, "state", obs={"up": up}) == word


def test_a_case_that_cannot_be_decided_is_unknown_once_the_field_was_set() -> None:
    status = {"spec": {}, "status": {"state": "Up"}}
    assert evaluate(CASES, "state", obs={"up": FAILED}, self=status) is FAILED


def test_initially_speaks_only_while_the_field_was_never_set() -> None:
    assert evaluate(CASES, "state", obs={"up": FAILED}) == "Pending"


def test_without_else_nothing_is_said() -> None:
    assert evaluate('cases: [{when: "${obs.up}", value: Up}]', obs={"up": False}) is OMIT


def test_a_list_of_tests_is_false_as_soon_as_one_is_false() -> None:
    tests = form("['${obs.x}', '${obs.no}']")
    every = AllForm(tests.node, tests.items)  # type: ignore[union-attr]
    assert every.evaluate(Scope({"obs": {"x": FAILED, "no": False}})) is False
    assert every.evaluate(Scope({"obs": {"x": FAILED, "no": True}})) is FAILED


def test_a_test_that_is_no_boolean_names_its_place() -> None:
    with pytest.raises(ExpressionError, match=r"rule\.yaml:1:1"):
        evaluate(CASES, "state", obs={"up": "yes"})
