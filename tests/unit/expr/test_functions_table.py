from __future__ import annotations

import re

import pytest

from engine.expr import Type, compile_expression, infer
from engine.expr.functions import FUNCTIONS

STANDARD = {
    "abs", "avg", "ceil", "contains", "ends_with", "floor", "join", "keys", "length", "map", "max", "max_by", "merge",
    "min", "min_by", "not_null", "reverse", "sort", "sort_by", "starts_with", "sum", "to_array", "to_number",
    "to_string", "type", "values",
}  # fmt: skip


def test_every_function_of_the_specification_is_there():
    assert set(FUNCTIONS) >= STANDARD


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_a_function_says_what_it_takes_gives_and_does(name):
    found = FUNCTIONS[name]
    assert re.fullmatch(r"\w+\((\w+: [\w|]+\??(, )?)*(\.\.\.)?\) -> \w+\??", found.signature)
    assert found.name == name
    assert found.doc.endswith(".")
    assert "\n" not in found.doc


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_a_function_over_unknown_types_is_typed_in_silence(name):
    arguments = [
        "&x" if kind == "expression" else "'obs'" if name in ("failed", "error") else "v"
        for kind in FUNCTIONS[name].parameters
    ]
    text = f"{name}({', '.join(arguments)})"
    assert infer(compile_expression(text), {"v": Type("any"), "obs": Type("any")}).issues == ()
