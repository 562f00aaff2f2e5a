from __future__ import annotations

import pytest

from engine.base.errors import ExpressionError
from engine.base.values import Opaque, Unknown
from engine.expr import Scope, compile_expression
from engine.expr.operators import is_number
from tests.unit.expr.expr_cases import cases, document


@pytest.mark.parametrize("case", cases("values.yaml"))
def test_an_expression_gives_its_documented_value(case):
    found = compile_expression(case["expression"]).evaluate(Scope(document("values.yaml")["given"]))
    assert found == case["result"]
    assert type(found) is type(case["result"]) or is_number(found)


@pytest.mark.parametrize("case", cases("unknown.yaml"))
def test_unknown_comes_out_unless_the_answer_does_not_depend_on_it(case):
    found = compile_expression(case["expression"]).evaluate(Scope(document("unknown.yaml")["given"]))
    if "unknown" in case:
        assert isinstance(found, Unknown)
        assert found.source == case["unknown"]
    else:
        assert found == case["result"]


@pytest.mark.parametrize("case", cases("refused.yaml"))
def test_a_wrong_operand_is_an_error_that_names_the_expression_and_shows_no_secret(case):
    with pytest.raises(ExpressionError) as caught:
        compile_expression(case["expression"]).evaluate(Scope(document("refused.yaml")["given"]))
    message = str(caught.value)
    assert message.startswith("${" + case["expression"] + "}")
    for words in case["says"]:
        assert words in message.removeprefix("${" + case["expression"] + "}")
    assert "hunter2" not in message.removeprefix("${" + case["expression"] + "}")


def test_secrets_answer_only_whether_they_are_there():
    scope = Scope({"data": {"key": Opaque("hunter2"), "none": None}})
    assert compile_expression("data.key != `null`").evaluate(scope) is True
    assert compile_expression("`null` == data.key").evaluate(scope) is False
    assert compile_expression("contains(keys(data), 'key')").evaluate(scope) is True
    assert compile_expression("default(data.none, data.key)").evaluate(scope) == Opaque("hunter2")


def test_base64_of_a_secret_is_a_secret():
    found = compile_expression("b64encode(s)").evaluate(Scope({"s": Opaque("hunter2")}))
    assert isinstance(found, Opaque)
    assert found.reveal() == "aHVudGVyMg=="


def test_bare_names_belong_to_the_current_value_and_dollar_names_to_the_scope():
    scope = Scope({"self": {"key": "b"}, "data": "outer"})
    expression = compile_expression("lookup(data, $self.key)")
    assert expression.evaluate(scope, {"data": {"a": 1, "b": 2}}) == 2
    assert compile_expression("@").evaluate(scope, [1]) == [1]


def test_a_current_value_of_null_is_not_taken_for_the_scope():
    assert compile_expression("self").evaluate(Scope({"self": 1}), None) is None


def test_an_inner_scope_adds_names_and_hides_outer_ones():
    outer = Scope({"a": 1, "b": 2})
    inner = outer.child({"b": 3, "c": 4})
    assert compile_expression("[a, b, c]").evaluate(inner) == [1, 3, 4]
    assert compile_expression("[a, b]").evaluate(outer) == [1, 2]


def test_names_added_to_the_mapping_of_a_scope_later_are_seen():
    roots: dict[str, object] = {}
    scope = Scope(roots)
    roots["let"] = {"x": 1}
    assert compile_expression("let.x").evaluate(scope) == 1
