from __future__ import annotations

import pytest

from engine.expr import ExpressionSyntaxError, compile_expression
from tests.unit.expr.expr_cases import cases, document


@pytest.mark.filterwarnings("ignore:deprecated string literal syntax:PendingDeprecationWarning")
@pytest.mark.parametrize("case", cases("syntax.yaml"))
def test_a_mistake_is_refused_at_its_place_with_a_hint(case):
    with pytest.raises(ExpressionSyntaxError) as caught:
        compile_expression(case["expression"])
    assert (caught.value.offset, caught.value.code) == (case["offset"], case["code"])
    assert case.get("hint", "") in caught.value.hint


@pytest.mark.parametrize("text", document("syntax.yaml")["accepted"])
def test_what_means_what_it_says_is_accepted(text):
    compile_expression(text)


@pytest.mark.parametrize(
    "text",
    [
        "a" * 2001,
        "(" * 900 + "a" + ")" * 900,
        "!" * 1999 + "a",
        "a && " * 300 + "b",
        "[" * 900 + "]" * 900,
        "a | " * 400 + "b",
        "f(" * 500,
        "|".join(["[@,@]"] * 10),
        "[@,@]" + "[*].[@,@]" * 9,
        "x" + "[?a]" * 400,
        "&" * 1999,
        "a[?" * 4 + "b" + "]" * 4,
        "any(a, &" * 4 + "b" + ")" * 4,
        "`" + "[" * 1500 + "]" * 400 + "`",
    ],
    ids=lambda text: text[:12],
)
def test_no_text_exhausts_stack_or_memory(text):
    with pytest.raises(ExpressionSyntaxError):
        compile_expression(text)


def test_a_deep_stack_of_the_caller_still_gives_a_syntax_error():
    def dive(depth: int) -> None:
        if depth:
            dive(depth - 1)
        else:
            with pytest.raises(ExpressionSyntaxError):
                compile_expression("(" * 900)

    dive(300)
