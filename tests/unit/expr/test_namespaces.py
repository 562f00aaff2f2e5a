from __future__ import annotations

from dataclasses import dataclass

import pytest

from engine.base.errors import ExpressionError
from engine.base.values import Unknown
from engine.expr import Scope, compile_expression


@dataclass
class State:
    status: str
    code: str = ""
    message: str = ""


STATES = {
    "probe": State("error", "Refused", "the node refused"),
    "soft": State("tolerated", "NotFound", "there is none"),
    "good": State("value"),
    "out": State("skipped", message="not wanted"),
}


class NotYetError(Exception):
    pass


class Observations:
    def __init__(self) -> None:
        self.asked: list[str] = []

    def lookup(self, name):
        self.asked.append(name)
        if name == "later":
            raise NotYetError(name)
        return Unknown(f"obs.{name}", "no answer") if name in ("probe", "out") else {"name": name}

    def state(self, name):
        return STATES[name]


@pytest.fixture
def scope():
    return Scope({"obs": Observations(), "items": [{"a": True}]})


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("failed('probe')", True),
        ("failed('good')", False),
        ("failed('soft')", False),
        ("failed('out')", False),
        ("error('probe')", {"code": "Refused", "message": "the node refused"}),
        ("error('probe').code", "Refused"),
        ("error('soft').code", "NotFound"),
        ("error('good')", None),
        ("error('out')", None),
        ("known(obs.probe.stage, 'silent')", "silent"),
        ("obs.good.name", "good"),
        ("items[?a && failed('probe')]", [{"a": True}]),
    ],
)
def test_failed_and_error_tell_how_a_read_ended(scope, text, result):
    assert compile_expression(text).evaluate(scope) == result


@pytest.mark.parametrize(
    "text", ["obs.later", "known(obs.later, 'x')", "length(obs.later)", "count(items, &$obs.later.x)"]
)
def test_what_a_namespace_raises_passes_through_untouched(scope, text):
    with pytest.raises(NotYetError):
        compile_expression(text).evaluate(scope)


@pytest.mark.parametrize(
    "text",
    [
        "if(`false`, obs.later, 'x')",
        "default('x', obs.later)",
        "coalesce('x', obs.later)",
        "known('x', obs.later)",
    ],
)
def test_a_branch_that_is_not_taken_is_not_looked_at(scope, text):
    assert compile_expression(text).evaluate(scope) == "x"


@pytest.mark.parametrize("text", ["`false` && obs.later.x", "`true` || obs.later.x"])
def test_an_operand_that_cannot_matter_is_not_looked_at(scope, text):
    assert isinstance(compile_expression(text).evaluate(scope), bool)


def test_the_error_of_a_nested_expression_keeps_its_own_text():
    class Definitions:
        def lookup(self, name):
            return compile_expression("nowhere.x").evaluate(Scope({}))

    with pytest.raises(ExpressionError, match=r"^\$\{nowhere\.x\}"):
        compile_expression("let.broken").evaluate(Scope({"let": Definitions()}))


def test_failed_without_observations_is_an_error():
    with pytest.raises(ExpressionError, match="name of an observation"):
        compile_expression("failed('x')").evaluate(Scope({"obs": {}}))
