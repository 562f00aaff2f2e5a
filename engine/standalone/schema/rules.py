"""Evaluates x-kubernetes-validations (CEL) over a value; the package's only user of celpy.

Rules that name `oldSelf` are transition rules: they run only where an old value stands behind
the new one. Where nothing changed no rule runs (ratcheting). A rule that fails to evaluate counts as
broken, as in kube-apiserver. Supported beyond celpy: the Kubernetes list and string helpers
in `_FUNCTIONS`; `optionalOldSelf` is not supported. Never changes the value. Neighbours: `correlation`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Any

import celpy
from celpy import celtypes
from celpy.celparser import CELParseError
from celpy.evaluation import CELEvalError

from engine.standalone import failures
from engine.standalone.failures import Cause
from engine.standalone.schema import Schema
from engine.standalone.schema.correlation import ABSENT, old_items, old_member
from engine.standalone.schema.validation import shown

_OLD = re.compile(r"\boldSelf\b")
_REASONS = {failures.INVALID, failures.REQUIRED, failures.FORBIDDEN, failures.DUPLICATE}


def has_rules(schema: Schema) -> bool:
    """Whether any rule stands anywhere in the schema."""
    if schema.get("x-kubernetes-validations"):
        return True
    parts = list((schema.get("properties") or {}).values())
    parts += [schema.get("items"), schema.get("additionalProperties")]
    return any(isinstance(part, dict) and has_rules(part) for part in parts)


def syntax_problem(rule: str) -> str | None:
    """What is wrong with the text of a rule, or None."""
    try:
        _program(rule)
    except CELParseError as error:
        return str(error.args[0])
    return None


def broken_rules(value: Any, schema: Schema, *, path: str = "", old: Any = ABSENT) -> list[Cause]:
    """One Cause per rule of the schema, at any depth, that `value` breaks."""
    return list(_broken(value, schema, path, old))


def _broken(value: Any, schema: Schema, path: str, old: Any) -> Iterator[Cause]:
    if value is None or (old is not ABSENT and old == value):
        return
    for rule in schema.get("x-kubernetes-validations") or ():
        transition = bool(_OLD.search(rule["rule"]))
        if transition and old is ABSENT:
            continue
        cause = _evaluate(rule, value, schema, path, old if transition else ABSENT)
        if cause:
            yield cause
    if isinstance(value, dict):
        properties = schema.get("properties") or {}
        rest = schema.get("additionalProperties")
        for name, member in value.items():
            part = properties.get(name, rest)
            if isinstance(part, dict):
                below = (f"{path}.{name}" if path else name) if name in properties else f"{path}[{name}]"
                yield from _broken(member, part, below, old_member(old, name))
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        before = old_items(value, old, schema)
        for index, item in enumerate(value):
            yield from _broken(item, schema["items"], f"{path}[{index}]", before[index])


def _evaluate(rule: dict[str, Any], value: Any, schema: Schema, path: str, old: Any) -> Cause | None:
    names = {"self": to_cel(value, schema)}
    if old is not ABSENT:
        names["oldSelf"] = to_cel(old, schema)
    problem = ""
    try:
        if _program(rule["rule"]).evaluate(names):
            return None
    except CELEvalError as error:
        problem = f"{_reworded(str(error.args[0]))} evaluating rule: "
    reason = rule.get("reason", failures.INVALID)
    where = path + rule.get("fieldPath", "") if path else rule.get("fieldPath", "").lstrip(".") or "<nil>"
    prefix = {failures.REQUIRED: "Required value: ", failures.FORBIDDEN: "Forbidden: "}.get(
        reason, f"Invalid value: {shown(value)}: "
    )
    return Cause(
        reason if reason in _REASONS else failures.INVALID, where, prefix + problem + _message(rule, names)
    )


def _message(rule: dict[str, Any], names: dict[str, Any]) -> str:
    expression = rule.get("messageExpression")
    if expression:
        try:
            text = str(_program(expression).evaluate(names)).strip()
        except CELEvalError:
            text = ""
        if text:
            return text
    return str(rule.get("message") or f"failed rule: {rule['rule']}").strip()


def _reworded(text: str) -> str:
    missing = re.search(r"no such member in mapping: '(.*)'", text)
    return f"no such key: {missing[1]}" if missing else text


def to_cel(value: Any, schema: Schema) -> Any:
    """A JSON value as CEL sees it under its schema: integers, doubles, timestamps, escaped names."""
    if isinstance(value, bool):
        return celtypes.BoolType(value)
    if isinstance(value, int):
        return celtypes.DoubleType(value) if schema.get("type") == "number" else celtypes.IntType(value)
    if isinstance(value, float):
        return celtypes.IntType(int(value)) if schema.get("type") == "integer" else celtypes.DoubleType(value)
    if isinstance(value, str):
        return (
            celtypes.TimestampType(value)
            if schema.get("format") == "date-time"
            else celtypes.StringType(value)
        )
    if isinstance(value, list):
        return celtypes.ListType([to_cel(item, schema.get("items") or {}) for item in value])
    if isinstance(value, dict):
        return _cel_map(value, schema)
    return None


def _cel_map(value: dict[str, Any], schema: Schema) -> celtypes.MapType:
    properties = schema.get("properties") or {}
    rest = schema.get("additionalProperties")
    pairs = {}
    for name, member in value.items():
        part = properties.get(name, rest)
        key = _escaped(name) if name in properties else name
        pairs[celtypes.StringType(key)] = to_cel(member, part if isinstance(part, dict) else {})
    return celtypes.MapType(pairs)


_KEYWORDS = frozenset(
    (
        *("true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if"),
        *("import", "let", "loop", "package", "namespace", "return"),
    )
)


def _escaped(name: str) -> str:
    if name in _KEYWORDS:
        return f"__{name}__"
    text = name.replace("__", "__underscores__")
    for char, word in ((".", "__dot__"), ("-", "__dash__"), ("/", "__slash__")):
        text = text.replace(char, word)
    return text


def _is_sorted(values: Any) -> Any:
    return celtypes.BoolType(all(one <= two for one, two in pairwise(values)))


def _index_of(values: Any, item: Any) -> Any:
    if isinstance(values, str):
        return celtypes.IntType(values.find(item))
    return celtypes.IntType(values.index(item) if item in values else -1)


def _split(text: Any, separator: Any) -> Any:
    return celtypes.ListType([celtypes.StringType(part) for part in text.split(separator)])


_FUNCTIONS: dict[str, Any] = {
    "isSorted": _is_sorted,
    "indexOf": _index_of,
    "sum": lambda values: sum(values, type(values[0])(0)) if values else celtypes.IntType(0),
    "min": min,
    "max": max,
    "lowerAscii": lambda text: celtypes.StringType(text.lower()),
    "upperAscii": lambda text: celtypes.StringType(text.upper()),
    "trim": lambda text: celtypes.StringType(text.strip()),
    "split": _split,
    "join": lambda values, separator="": celtypes.StringType(separator.join(values)),
    "replace": lambda text, old, new: celtypes.StringType(text.replace(old, new)),
    "substring": lambda text, start, end=None: celtypes.StringType(text[start:end]),
}

_ENVIRONMENT = celpy.Environment()


@lru_cache(maxsize=512)
def _program(text: str) -> celpy.Runner:
    return _ENVIRONMENT.program(_ENVIRONMENT.compile(text), functions=_FUNCTIONS)
