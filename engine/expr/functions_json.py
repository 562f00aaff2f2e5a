"""The functions of the JMESPath specification.

Each gets the scope and its arguments and raises FunctionError for what it cannot take. Pure.
Neighbour: `functions` lists them.
"""

from __future__ import annotations

import json
import math
from typing import Any

from engine.base.values import Unknown, Value, first_unknown
from engine.expr.operators import FunctionError, Reference, is_number
from engine.expr.scope import Scope


def absolute(scope: Scope, value: Value) -> Value:
    return abs(_number(value))


def average(scope: Scope, values: Value) -> Value:
    numbers = [_number(item) for item in _list(values)]
    return sum(numbers) / len(numbers) if numbers else None


def ceiling(scope: Scope, value: Value) -> Value:
    return math.ceil(_number(value))


def floor(scope: Scope, value: Value) -> Value:
    return math.floor(_number(value))


def contains(scope: Scope, subject: Value, search: Value) -> Value:
    if isinstance(subject, str):
        return isinstance(search, str) and search in subject
    return search in _list(subject)


def ends_with(scope: Scope, subject: Value, suffix: Value) -> Value:
    return _text(subject).endswith(_text(suffix))


def starts_with(scope: Scope, subject: Value, prefix: Value) -> Value:
    return _text(subject).startswith(_text(prefix))


def join(scope: Scope, glue: Value, values: Value) -> Value:
    return _text(glue).join(_text(item) for item in _list(values))


def keys(scope: Scope, value: Value) -> Value:
    return list(_map(value))


def values(scope: Scope, value: Value) -> Value:
    return list(_map(value).values())


def length(scope: Scope, subject: Value) -> Value:
    if not isinstance(subject, str | list | dict):
        raise FunctionError("needs a list, a text or a map")
    return len(subject)


def map_each(scope: Scope, of: Value, items: Value) -> Value:
    return [_reference(of)(item) for item in _list(items)]


def merge(scope: Scope, *maps: Value) -> Value:
    merged: dict[str, Any] = {}
    for item in maps:
        merged.update(_map(item))
    return merged


def not_null(scope: Scope, *candidates: Value) -> Value:
    return next((item for item in candidates if item is not None), None)


def reverse(scope: Scope, subject: Value) -> Value:
    return subject[::-1] if isinstance(subject, str) else _list(subject)[::-1]


def total(scope: Scope, items: Value) -> Value:
    return sum(_number(item) for item in _list(items))


def greatest(scope: Scope, items: Value) -> Value:
    return max(_ordered(_list(items)), default=None)


def least(scope: Scope, items: Value) -> Value:
    return min(_ordered(_list(items)), default=None)


def sort(scope: Scope, items: Value) -> Value:
    return sorted(_ordered(_list(items)))


def sort_by(scope: Scope, items: Value, by: Value) -> Value:
    return [item for _, item in sorted(_keyed(items, by), key=lambda pair: pair[0])]


def greatest_by(scope: Scope, items: Value, by: Value) -> Value:
    pairs = _keyed(items, by)
    return max(pairs, key=lambda pair: pair[0])[1] if pairs else None


def least_by(scope: Scope, items: Value, by: Value) -> Value:
    pairs = _keyed(items, by)
    return min(pairs, key=lambda pair: pair[0])[1] if pairs else None


def to_array(scope: Scope, value: Value) -> Value:
    return value if isinstance(value, list) else [value]


def to_number(scope: Scope, value: Value) -> Value:
    if is_number(value):
        return value
    if not isinstance(value, str):
        return None
    for convert in (int, float):
        try:
            return convert(value)
        except ValueError:
            continue
    return None


def to_string(scope: Scope, value: Value) -> Value:
    if isinstance(value, str):
        return value
    unknown = first_unknown(value)
    if isinstance(unknown, Unknown):
        return unknown
    return json.dumps(_without_markers(value), separators=(",", ":"), ensure_ascii=False)


def type_of(scope: Scope, value: Value) -> Value:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if is_number(value):
        return "number"
    for kind, word in ((str, "string"), (list, "array"), (dict, "object")):
        if isinstance(value, kind):
            return word
    raise FunctionError("a secret has no type to be asked for")


def _without_markers(value: Value) -> Value:
    """The value as JSON can hold it; a secret inside cannot be written."""
    if isinstance(value, dict):
        return {key: _without_markers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_markers(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise FunctionError("a secret cannot become text")


def _number(value: Value) -> Any:
    if not is_number(value):
        raise FunctionError("needs a number")
    return value


def _text(value: Value) -> str:
    if not isinstance(value, str):
        raise FunctionError("needs a text")
    return value


def _list(value: Value) -> list[Any]:
    if not isinstance(value, list):
        raise FunctionError("needs a list")
    return value


def _map(value: Value) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise FunctionError("needs a map")
    return value


def _reference(value: Value) -> Reference:
    if not isinstance(value, Reference):
        raise FunctionError("needs an expression, as in &name")
    return value


def _ordered(items: list[Any]) -> list[Any]:
    if not (all(is_number(item) for item in items) or all(isinstance(item, str) for item in items)):
        raise FunctionError("needs numbers only or texts only")
    return items


def _keyed(items: Value, by: Value) -> list[tuple[Any, Any]]:
    reference = _reference(by)
    rows = [(reference(item), item) for item in _list(items)]
    _ordered([key for key, _ in rows])
    return rows
