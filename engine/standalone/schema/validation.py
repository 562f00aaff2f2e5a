"""Checks a value against a structural schema and gives one Cause per broken rule.

Reasons and wording as kube-apiserver 1.37 gives them. With the old object at hand, parts that
did not change are not checked again (ratcheting), so tightening a CRD does not lock objects.
Lists are compared item by item only where the schema names their keys. Never changes the value.
Neighbours: `formats`, `correlation`; CEL rules are in `rules`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from engine.standalone import failures
from engine.standalone.failures import Cause
from engine.standalone.schema import Schema
from engine.standalone.schema.correlation import ABSENT, old_items, old_member
from engine.standalone.schema.formats import conforms, matches

Report = Callable[[str, str, str], None]


def validate(value: Any, schema: Schema, *, path: str = "", old: Any = ABSENT) -> list[Cause]:
    """Every violation in `value`; `old` is the stored value at the same place, if there is one."""
    causes: list[Cause] = []

    def report(reason: str, where: str, message: str) -> None:
        causes.append(Cause(reason, where, message))

    _check(value, schema, path, old, report)
    return causes


def json_type(value: Any) -> str:
    """The JSON schema type of a decoded value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "object" if isinstance(value, dict) else "array"


def shown(value: Any) -> str:
    """A value as error texts show it; containers by their type alone."""
    return json.dumps(json_type(value) if isinstance(value, (dict, list)) else value, ensure_ascii=False)


def _check(value: Any, schema: Schema, path: str, old: Any, report: Report) -> None:
    if value is None and schema.get("nullable"):
        return
    if old is not ABSENT and old == value and type(old) is type(value):
        return
    if not _type_fits(value, schema):
        wanted = schema.get("type", "integer or string")
        have = json_type(value)
        text = f'Invalid value: "{have}": {path} in body must be of type {wanted}: "{have}"'
        report(failures.TYPE_INVALID, path, text)
        return
    _check_value(value, schema, path, report)
    if isinstance(value, str):
        _check_string(value, schema, path, report)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        _check_number(value, schema, path, report)
    elif isinstance(value, list):
        _check_list(value, schema, path, old, report)
    elif isinstance(value, dict):
        _check_object(value, schema, path, old, report)
    if not schema.get("x-kubernetes-int-or-string"):
        _check_combinations(value, schema, path, report)


def _type_fits(value: Any, schema: Schema) -> bool:
    have = json_type(value)
    if schema.get("x-kubernetes-int-or-string"):
        return have in ("integer", "string")
    wanted = schema.get("type")
    if wanted in (None, "", have):
        return wanted or value is not None or bool(schema.get("x-kubernetes-preserve-unknown-fields"))
    if wanted == "number":
        return have == "integer"
    return bool(wanted == "integer" and have == "number" and value.is_integer())


def _check_value(value: Any, schema: Schema, path: str, report: Report) -> None:
    allowed = schema.get("enum")
    if allowed is not None and not any(value == one and type(value) is type(one) for one in allowed):
        listed = ", ".join(json.dumps(one) for one in allowed)
        report(failures.NOT_SUPPORTED, path, f"Unsupported value: {shown(value)}: supported values: {listed}")


def _check_string(value: str, schema: Schema, path: str, report: Report) -> None:
    text = '"(hidden)"' if schema.get("x-opaque") else shown(value)
    longest = schema.get("maxLength")
    if longest is not None and len(value) > longest:
        report(failures.TOO_LONG, path, f"Too long: may not be more than {longest} bytes")
    shortest = schema.get("minLength")
    if shortest is not None and len(value) < shortest:
        problem = f"Invalid value: {text}: {path} in body should be at least {shortest} chars long"
        report(failures.INVALID, path, problem)
    pattern = schema.get("pattern")
    if pattern and not matches(value, pattern):
        problem = f"Invalid value: {text}: {path} in body should match '{pattern}'"
        report(failures.INVALID, path, problem)
    name = schema.get("format")
    if name and not conforms(value, name):
        problem = f"Invalid value: {text}: {path} in body must be of type {name}: {text}"
        report(failures.INVALID, path, problem)


def _check_number(value: float, schema: Schema, path: str, report: Report) -> None:
    problems = []
    low, high, step = (schema.get(name) for name in ("minimum", "maximum", "multipleOf"))
    if low is not None and (value < low or (schema.get("exclusiveMinimum") and value == low)):
        word = "greater than" if schema.get("exclusiveMinimum") else "greater than or equal to"
        problems.append(f"should be {word} {low}")
    if high is not None and (value > high or (schema.get("exclusiveMaximum") and value == high)):
        word = "less than" if schema.get("exclusiveMaximum") else "less than or equal to"
        problems.append(f"should be {word} {high}")
    if step and value % step:
        problems.append(f"should be a multiple of {step}")
    bits = {"int32": 31, "int64": 63}.get(schema.get("format", ""))
    if bits and not -(2**bits) <= value < 2**bits:
        problems.append(f"must be of type {schema['format']}")
    for problem in problems:
        report(failures.INVALID, path, f"Invalid value: {shown(value)}: {path} in body {problem}")


def _check_list(value: list[Any], schema: Schema, path: str, old: Any, report: Report) -> None:
    most, least = schema.get("maxItems"), schema.get("minItems")
    if most is not None and len(value) > most:
        report(failures.TOO_MANY, path, f"Too many: {len(value)}: must have at most {most} items")
    if least is not None and len(value) < least:
        text = f"Invalid value: {len(value)}: {path} in body should have at least {least} items"
        report(failures.INVALID, path, text)
    if schema.get("uniqueItems") and any(item in value[:index] for index, item in enumerate(value)):
        report(failures.DUPLICATE, path, f"Duplicate value: {path} in body shouldn't contain duplicates")
    items = schema.get("items")
    if items:
        before = old_items(value, old, schema)
        for index, item in enumerate(value):
            _check(item, items, f"{path}[{index}]", before[index], report)


def _check_object(value: dict[str, Any], schema: Schema, path: str, old: Any, report: Report) -> None:
    for name in schema.get("required") or ():
        if name not in value:
            report(failures.REQUIRED, f"{path}.{name}" if path else name, "Required value")
    most, least = schema.get("maxProperties"), schema.get("minProperties")
    if most is not None and len(value) > most:
        report(failures.TOO_MANY, path, f"Too many: {len(value)}: must have at most {most} items")
    if least is not None and len(value) < least:
        text = f"Invalid value: {len(value)}: {path} in body should have at least {least} properties"
        report(failures.INVALID, path, text)
    properties = schema.get("properties") or {}
    rest = schema.get("additionalProperties")
    for name, member in value.items():
        part = properties.get(name, rest)
        if isinstance(part, dict):
            _check(member, part, f"{path}.{name}" if path else name, old_member(old, name), report)


def _check_combinations(value: Any, schema: Schema, path: str, report: Report) -> None:
    for part in schema.get("allOf") or ():
        _check(value, part, path, ABSENT, report)
    for word, amount in (("anyOf", "at least one"), ("oneOf", "one and only one")):
        parts = schema.get(word)
        fitting = sum(not validate(value, part, path=path) for part in parts or ())
        if parts and (not fitting or (word == "oneOf" and fitting > 1)):
            text = f'Invalid value: "": "{path}" must validate {amount} schema ({word})'
            report(failures.INVALID, path or "<nil>", text)
    refused = schema.get("not")
    if refused is not None and not validate(value, refused, path=path):
        report(
            failures.INVALID,
            path or "<nil>",
            f'Invalid value: "": "{path}" must not validate the schema (not)',
        )
