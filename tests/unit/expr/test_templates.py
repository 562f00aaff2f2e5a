from __future__ import annotations

import pytest

from engine.base.errors import ExpressionError
from engine.base.values import OMIT, Opaque, Unknown
from engine.expr import ExpressionSyntaxError, Scope, compile_scalar

SCOPE = Scope(
    {
        "a": {"b": 1, "name": "n1", "list": [1], "none": None, "yes": True, "float": 1.5},
        "secret": Opaque("hunter2"),
        "silent": Unknown("obs.silent", "no answer"),
    }
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${a.b}", 1),
        ("${ a.b }", 1),
        ("${a.list}", [1]),
        ("${a.none}", None),
        ("${omit()}", OMIT),
        ("n-${a.b}", "n-1"),
        ("${a.name}-${a.b}", "n1-1"),
        ("${a.yes}/${a.float}", "true/1.5"),
        ("$${a.b}", "${a.b}"),
        ("cost $5 of ${a.b}", "cost $5 of 1"),
        ("$${x} ${a.b}", "${x} 1"),
        ("${'}'}", "}"),
        ("${'{'}${'\"'}", '{"'),
        ("${'it\\'s }'}", "it's }"),
        ('${`"}"`}', "}"),
        ("${{x: {y: a.b}}}", {"x": {"y": 1}}),
        ('${a."name"} }', "n1 }"),
        ("line ${a.b}\n${a.b}", "line 1\n1"),
    ],
)
def test_a_scalar_gives_its_value(text, value):
    template = compile_scalar(text)
    assert template is not None
    assert template.evaluate(SCOPE) == value


@pytest.mark.parametrize("text", ["plain", "", "$5", "{a}", "$(a)", "a$"])
def test_a_scalar_without_expressions_is_left_to_the_caller(text):
    assert compile_scalar(text) is None


@pytest.mark.parametrize(
    ("text", "single"), [("${a.b}", True), ("x${a.b}", False), ("${a.b}${a.b}", False), ("$${a}", False)]
)
def test_only_a_scalar_that_is_one_expression_keeps_its_type(text, single):
    template = compile_scalar(text)
    assert template is not None
    assert template.is_single is single


@pytest.mark.parametrize(
    "text", ["x-${a.none}", "x-${a.list}", "x-${a}", "x-${secret}", "x-${omit()}", "x-${null()}"]
)
def test_only_scalars_that_are_not_null_stand_inside_text(text):
    with pytest.raises(ExpressionError) as caught:
        compile_scalar(text).evaluate(SCOPE)
    assert text.removeprefix("x-") in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_an_unknown_part_makes_the_text_unknown():
    assert compile_scalar("x-${silent}").evaluate(SCOPE) == Unknown("obs.silent", "no answer")


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("ab ${a..b}", 7),
        ("${}", 2),
        ("x ${  }", 4),
        ("${a.b", 0),
        ("${a} ${a # c", 5),
        ("${'open}", 2),
        ("${a} ${ a. }", 10),
    ],
)
def test_mistakes_are_placed_in_the_whole_scalar(text, offset):
    with pytest.raises(ExpressionSyntaxError) as caught:
        compile_scalar(text)
    assert caught.value.offset == offset


def test_each_expression_knows_its_place_in_the_scalar():
    text = "x ${a.b} y ${ a.name }"
    places = [(item.text, item.offset) for item in compile_scalar(text).expressions]
    assert places == [("a.b", 4), ("a.name", 14)]
    assert all(text[offset:].startswith(found) for found, offset in places)
