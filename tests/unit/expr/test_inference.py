from __future__ import annotations

import pytest

from engine.expr import Type, compile_expression, holds_when, infer, type_of_schema
from tests.unit.expr.expr_cases import cases, document

TYPES = {name: type_of_schema(schema) for name, schema in document("inference.yaml")["types"].items()}


@pytest.mark.parametrize("case", cases("inference.yaml"))
def test_types_show_a_mistake_at_its_place_and_are_silent_without_one(case):
    found = infer(compile_expression(case["expression"]), TYPES)
    codes = [issue.code for issue in found.issues]
    if "issue" not in case:
        assert codes == []
        assert (found.type.kind, found.type.nullable) == (case["type"], case.get("nullable", False))
        return
    assert set(codes) == {case["issue"]}
    assert found.issues[0].offset == case.get("offset", found.issues[0].offset)
    assert case.get("hint", "") in found.issues[0].hint


@pytest.mark.parametrize(
    ("text", "reads"),
    [
        ("self.spec.mode", {("self", "spec", "mode")}),
        ("obs.machines[0].name", {("obs", "machines")}),
        ("obs.machines[?name == $self.kind].name", {("obs", "machines"), ("self", "kind")}),
        ("if(failed('etcd'), 'a', self.kind)", {("obs", "etcd"), ("self", "kind")}),
        ("self.spec.{a: mode}", {("self", "spec"), ("self", "spec", "mode")}),
        ("count(obs.machines, &name == $m.name)", {("obs", "machines"), ("m", "name")}),
    ],
)
def test_the_reads_of_an_expression_are_the_paths_from_the_root(text, reads):
    found = infer(compile_expression(text), TYPES).reads
    assert {
        path for path in found if not any(other[: len(path)] == path and other != path for other in found)
    } == {path for path in reads if not any(other[: len(path)] == path and other != path for other in reads)}


def test_bare_names_of_a_pick_are_fields_of_the_answer():
    answer = TYPES["m"]
    assert infer(compile_expression("name"), TYPES, answer).type.kind == "string"
    assert [issue.code for issue in infer(compile_expression("nam"), TYPES, answer).issues] == [
        "unknown-field"
    ]
    assert infer(compile_expression("$self.spec.mode"), TYPES, answer).issues == ()


@pytest.mark.parametrize("answer", [TYPES["m"], Type("any")])
def test_a_root_name_in_a_pick_needs_a_dollar(answer):
    issues = infer(compile_expression("lookup(@, self.spec.version)"), TYPES, answer).issues
    assert ("outer-name-in-filter", 10) in [(issue.code, issue.offset) for issue in issues]


def test_the_guards_of_a_caller_narrow_too():
    guard = compile_expression("self.spec.ref != `null`")
    facts = holds_when(guard.node, True, None)
    expression = compile_expression("lower(self.spec.ref.name)")
    assert [issue.code for issue in infer(expression, TYPES).issues] == ["may-be-null"]
    assert infer(expression, TYPES, facts=facts).issues == ()


@pytest.mark.parametrize(
    ("schema", "kind", "nullable"),
    [
        ({"type": "string"}, "string", False),
        ({"type": ["string", "null"]}, "string", True),
        ({"type": "string", "nullable": True}, "string", True),
        ({"type": "string", "format": "date-time"}, "timestamp", False),
        ({"type": "integer", "format": "int64"}, "integer", False),
        ({"x-kubernetes-int-or-string": True}, "any", False),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "integer", True),
        ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, "any", False),
        ({"x-opaque": True, "type": "string"}, "opaque", False),
        ({}, "any", False),
        ({"type": "object"}, "object", False),
    ],
)
def test_a_schema_becomes_a_type(schema, kind, nullable):
    found = type_of_schema(schema)
    assert (found.kind, found.nullable) == (kind, nullable)


def test_a_property_may_be_null_unless_it_is_required_or_has_a_default():
    found = type_of_schema(
        {
            "type": "object",
            "required": ["a"],
            "properties": {
                "a": {"type": "string"},
                "b": {"type": "string"},
                "c": {"type": "string", "default": "x"},
            },
        }
    )
    assert {name: inner.nullable for name, inner in found.fields.items()} == {
        "a": False,
        "b": True,
        "c": False,
    }
