"""Structural schemas, CEL and the patch formats as pure functions."""

from __future__ import annotations

import copy

import pytest

from engine.standalone.failures import ApiFailure
from engine.standalone.patches import json_patch, merge_patch, strategic_patch
from engine.standalone.schema.correlation import ABSENT
from engine.standalone.schema.defaulting import apply_defaults
from engine.standalone.schema.formats import conforms
from engine.standalone.schema.pruning import prune
from engine.standalone.schema.rules import broken_rules
from engine.standalone.schema.validation import validate


def of(**properties):
    return {"type": "object", "properties": properties}


def ruled(rule, **more):
    return {"x-kubernetes-validations": [{"rule": rule, **more}]}


def test_defaults_reach_into_what_defaults_created():
    inner = {**of(b={"type": "integer", "default": 1}), "default": {}}
    value = {}
    apply_defaults(value, of(a=inner))
    assert value == {"a": {"b": 1}}


def test_a_null_becomes_the_default_or_goes_or_stays():
    text = {"type": "string"}
    schema = of(a={**text, "default": "x"}, b=text, c={**text, "nullable": True})
    value = {"a": None, "b": None, "c": None, "unknown": None}
    apply_defaults(value, schema)
    assert value == {"a": "x", "c": None, "unknown": None}


def test_pruning_tells_what_it_dropped_at_any_depth():
    schema = of(
        list={"type": "array", "items": of(a={})},
        map={"type": "object", "additionalProperties": of(a={})},
        free={
            "type": "object",
            "x-kubernetes-preserve-unknown-fields": True,
            "properties": {"shut": of(a={})},
        },
        whole={"type": "object", "x-kubernetes-embedded-resource": True},
    )
    value = {
        "list": [{"a": 1, "x": 1}],
        "map": {"k": {"x": 1}},
        "free": {"any": {"y": 1}, "shut": {"x": 1}},
        "whole": {"kind": "K", "metadata": {}, "x": 1},
    }
    assert prune(value, schema) == ["list[0].x", "map.k.x", "free.shut.x", "whole.x"]
    assert value["free"] == {"any": {"y": 1}, "shut": {}}


@pytest.mark.parametrize(
    ("value", "schema", "reason"),
    [
        (1, {"type": "string"}, "FieldValueTypeInvalid"),
        (True, {"type": "integer"}, "FieldValueTypeInvalid"),
        (1.5, {"type": "integer"}, "FieldValueTypeInvalid"),
        (None, {"type": "string"}, "FieldValueTypeInvalid"),
        (2**31, {"type": "integer", "format": "int32"}, "FieldValueInvalid"),
        ("a\n", {"type": "string", "pattern": "^a$"}, "FieldValueInvalid"),
        ([1, 1], {"type": "array", "uniqueItems": True}, "FieldValueDuplicate"),
        ([1, 2], {"type": "array", "maxItems": 1}, "FieldValueTooMany"),
        ("ab", {"type": "string", "maxLength": 1}, "FieldValueTooLong"),
        (1, {"type": "integer", "minimum": 1, "exclusiveMinimum": True}, "FieldValueInvalid"),
        (1, {"enum": ["1", True]}, "FieldValueNotSupported"),
        (3, {"type": "integer", "oneOf": [{"minimum": 1}, {"minimum": 2}]}, "FieldValueInvalid"),
        (3, {"type": "integer", "not": {"minimum": 2}}, "FieldValueInvalid"),
    ],
)
def test_a_broken_rule_has_its_reason(value, schema, reason):
    assert [cause.reason for cause in validate({"a": value}, of(a=schema))] == [reason]


def test_a_whole_float_is_an_integer_and_an_integer_a_number():
    assert validate({"a": 2.0, "b": 2}, of(a={"type": "integer"}, b={"type": "number"})) == []


def test_what_did_not_change_is_not_checked_again():
    schema = of(a={"type": "string", "enum": ["x"]}, b={"type": "integer", "maximum": 1})
    assert validate({"a": "old", "b": 1}, schema, old={"a": "old"}) == []
    assert [one.field for one in validate({"a": "new"}, schema, old={"a": "old"})] == ["a"]


def test_items_of_a_map_list_are_compared_by_key():
    items = of(name={"type": "string"}, n={"type": "integer", "maximum": 1})
    listed = {"type": "array", "items": items}
    keyed = {**listed, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}
    old, new = [{"name": "a", "n": 9}], [{"name": "b", "n": 1}, {"name": "a", "n": 9}]
    assert validate({"l": new}, of(l=keyed), old={"l": old}) == []
    assert [one.field for one in validate({"l": new}, of(l=listed), old={"l": old})] == ["l[1].n"]


@pytest.mark.parametrize(
    ("rule", "value", "good"),
    [
        ("self.all(x, x.matches('^a+$'))", ["a", "aa"], True),
        ("self.exists_one(x, x == 'b')", ["a"], False),
        ("size(self) <= 1", ["a", "b"], False),
        ("self.isSorted() && self.indexOf('b') == 1", ["a", "b"], True),
        ("self.join('-') == 'a-b'", ["a", "b"], True),
        ("self.map(x, x + '!') == ['a!']", ["a"], True),
    ],
)
def test_cel_over_lists(rule, value, good):
    schema = {"type": "array", "items": {"type": "string"}, **ruled(rule)}
    assert (broken_rules(value, schema) == []) is good


def test_a_cel_rule_that_cannot_be_evaluated_is_broken_and_says_why():
    (cause,) = broken_rules(
        {"a": 1}, {**of(a={"type": "integer"}), **ruled("self.b > 0", message="b counts")}
    )
    assert "no such key: b evaluating rule: b counts" in cause.message


def test_cel_messages_reasons_and_paths():
    rule = ruled("false", messageExpression="'got ' + self.a", reason="FieldValueForbidden", fieldPath=".a")
    (cause,) = broken_rules({"s": {"a": "x"}}, of(s={**of(a={"type": "string"}), **rule}))
    assert (cause.reason, cause.field, cause.message) == ("FieldValueForbidden", "s.a", "Forbidden: got x")


def test_cel_knows_integers_times_and_awkward_names():
    schema = of(
        n={"type": "number"}, t={"type": "string", "format": "date-time"}, **{"a-b": {"type": "string"}}
    )
    value = {"n": 1, "t": "2026-01-01T00:00:00Z", "a-b": "x"}
    for rule in ("self.n < 1.5", "self.t < timestamp('2027-01-01T00:00:00Z')", "self.a__dash__b == 'x'"):
        assert broken_rules(value, {**schema, **ruled(rule)}) == []


def test_transition_rules_need_an_old_value():
    schema = of(a={"type": "integer", **ruled("self >= oldSelf")})
    assert broken_rules({"a": 1}, schema, old=ABSENT) == []
    assert broken_rules({"a": 1}, schema, old={}) == []
    assert len(broken_rules({"a": 1}, schema, old={"a": 2})) == 1


def test_formats():
    assert conforms("2026-11-25T01:02:03.5+01:00", "date-time")
    assert not conforms("2026-13-25T01:02:03Z", "date-time")
    assert conforms("fd00::1", "ipv6") and not conforms("127.0.0.1", "ipv6")
    assert conforms("YQ==", "byte") and not conforms("a", "byte")
    assert conforms("anything", "no-such-format")


def test_patches_leave_their_target_alone():
    target = {"a": {"b": [1, 2]}, "c": 1}
    before = copy.deepcopy(target)
    assert merge_patch(target, {"a": {"d": 1}, "c": None}) == {"a": {"b": [1, 2], "d": 1}}
    moves = [{"op": "move", "from": "/a/b/0", "path": "/a/b/-"}, {"op": "copy", "from": "/c", "path": "/d"}]
    assert json_patch(target, moves) == {"a": {"b": [2, 1]}, "c": 1, "d": 1}
    assert target == before


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "remove", "path": "/x"},
        {"op": "replace", "path": "/l/7", "value": 1},
        {"op": "add", "path": "/x/y", "value": 1},
        {"op": "test", "path": "/l", "value": []},
        {"op": "add", "path": "/l"},
        {"op": "spin", "path": "/l"},
        {"path": "/l"},
    ],
)
def test_a_json_patch_that_does_not_fit_is_refused(operation):
    with pytest.raises(ApiFailure) as refused:
        json_patch({"l": [1]}, [operation])
    assert refused.value.code in (400, 422)


def test_strategic_merge_merges_lists_by_key_and_deletes():
    keyed = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["uid"]}
    schema = of(o={"type": "array", **keyed}, f={"type": "array", "x-kubernetes-list-type": "set"})
    target = {"o": [{"uid": "1", "a": 1}, {"uid": "2"}], "f": ["x"]}
    patch = {"o": [{"uid": "1", "b": 2}, {"uid": "2", "$patch": "delete"}], "f": ["y"]}
    merged = strategic_patch(target, patch, schema)
    assert merged == {"o": [{"uid": "1", "a": 1, "b": 2}], "f": ["x", "y"]}
    assert strategic_patch(merged, {"$deleteFromPrimitiveList/f": ["x"]}, schema)["f"] == ["y"]
