"""Functions over lists, maps and numbers: JMESPath's own, and those that rules have beyond.

Each takes values of the kinds in its signature, never null unless it says so, and raises
FunctionError for contents it cannot take. Pure. Neighbour: `functions` collects them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from engine.base.values import Opaque, Unknown, Value
from engine.expr.operators import FunctionError, Reference, equal, is_number, truth
from engine.expr.signatures import function


@function("abs(value: number) -> number")
def absolute(value: Value) -> Value:
    """The absolute value."""
    return abs(value)


@function("avg(values: array) -> number?", all_known=True)
def average(values: Value) -> Value:
    """The mean of numbers; null of none."""
    return sum(_numbers(values)) / len(values) if values else None


@function("ceil(value: number) -> integer")
def ceiling(value: Value) -> Value:
    """The next integer up."""
    return math.ceil(value)


@function("floor(value: number) -> integer")
def floor(value: Value) -> Value:
    """The next integer down."""
    return math.floor(value)


@function("keys(map: object) -> array")
def keys(value: Value) -> Value:
    """The keys of a map."""
    return list(value)


@function("values(map: object) -> array")
def values_of(value: Value) -> Value:
    """The values of a map."""
    return list(value.values())


@function("lookup(map: object?, key: string) -> any?")
def lookup(found: Value, key: Value) -> Value:
    """The value of a key that is computed; null of no map."""
    return None if found is None else found.get(key)


@function("merge(maps: object, ...) -> object")
def merge(*maps: Value) -> Value:
    """One map of several; the last says."""
    return {key: value for item in maps for key, value in item.items()}


@function("length(subject: array|string|object) -> integer")
def length(subject: Value) -> Value:
    """How many items, characters or keys."""
    return len(subject)


@function("contains(subject: array|string, search: any?) -> boolean")
def contains(subject: Value, search: Value) -> Value:
    """Whether a list has an item, or a text a part."""
    if isinstance(subject, str):
        return isinstance(search, str) and search in subject
    if any(equal(item, search) for item in subject if not isinstance(item, Unknown)):
        return True
    unknown = _first_unknown(subject)
    return unknown if unknown is not None else False


@function("reverse(subject: array|string) -> any")
def reverse(subject: Value) -> Value:
    """The other way round."""
    return subject[::-1]


@function("sum(values: array) -> number", all_known=True)
def total(values: Value) -> Value:
    """The sum of numbers."""
    return sum(_numbers(values))


@function("max(values: array) -> any?", all_known=True)
def greatest(values: Value) -> Value:
    """The greatest number or text; null of none."""
    return max(_ordered(values), default=None)


@function("min(values: array) -> any?", all_known=True)
def least(values: Value) -> Value:
    """The least number or text; null of none."""
    return min(_ordered(values), default=None)


@function("sort(values: array) -> array", all_known=True)
def sort(values: Value) -> Value:
    """Numbers or texts in order."""
    return sorted(_ordered(values))


@function("max_by(values: array, by: expression) -> any?")
def greatest_by(values: Value, by: Reference) -> Value:
    """The item with the greatest value; null of none."""
    return _at_key(values, by, max)


@function("min_by(values: array, by: expression) -> any?")
def least_by(values: Value, by: Reference) -> Value:
    """The item with the least value; null of none."""
    return _at_key(values, by, min)


@function("sort_by(values: array, by: expression) -> array")
def sort_by(values: Value, by: Reference) -> Value:
    """Items in the order of a value; equal ones stay as they are."""
    keys_of = [by(item) for item in values]
    unknown = _first_unknown(keys_of)
    if unknown is not None:
        return unknown
    return [values[index] for index in sorted(range(len(values)), key=_ordered(keys_of).__getitem__)]


@function("map(of: expression, values: array) -> array")
def map_each(of: Reference, values: Value) -> Value:
    """The expression of each item, nulls kept."""
    return [of(item) for item in values]


@function("to_array(value: any?) -> array")
def to_array(value: Value) -> Value:
    """The list itself, or a list of the one value."""
    return value if isinstance(value, list) else [value]


@function("not_null(values: any?, ...) -> any?")
def not_null(*candidates: Value) -> Value:
    """The first that is not null; every one is looked at. `coalesce` stops at the first."""
    return next((item for item in candidates if item is not None), None)


@function("take(values: array, most: integer) -> array")
def take(values: Value, most: Value) -> Value:
    """The first items, at most so many."""
    return values[: max(0, most)]


@function("all_but_last(values: array, keep: integer) -> array")
def all_but_last(values: Value, keep: Value) -> Value:
    """The list without its last items."""
    return values[: max(0, len(values) - max(0, keep))]


@function("any(values: array, test: expression) -> boolean")
def any_of(values: Value, test: Reference) -> Value:
    """Whether the test holds for an item."""
    return _decided(values, test, verdict=True)


@function("all(values: array, test: expression) -> boolean")
def all_of(values: Value, test: Reference) -> Value:
    """Whether the test holds for every item."""
    return _decided(values, test, verdict=False)


@function("count(values: array, test: expression) -> integer")
def count(values: Value, test: Reference) -> Value:
    """How many items pass the test."""
    found = [truth(test(item), strict=True) for item in values]
    unknown = _first_unknown(found)
    return sum(found) if unknown is None else unknown


@function("is_true(conditions: array?, types: string, ...) -> boolean")
def is_true(conditions: Value, *types: Value) -> Value:
    """Whether any condition of these types has status "True"; no conditions, no."""
    unknown = None
    for condition in conditions or ():
        if isinstance(condition, Unknown):
            unknown = condition if unknown is None else unknown
        elif (
            isinstance(condition, dict)
            and condition.get("type") in types
            and condition.get("status") == "True"
        ):
            return True
    return unknown if unknown is not None else False


@function("portion(part: any?, whole: integer) -> integer")
def portion(part: Value, whole: Value) -> Value:
    """A number, or a percentage of the whole rounded down, at least 1; what is neither counts as 1."""
    if is_number(part):
        return max(1, math.floor(part))
    match = re.fullmatch(r"(\d{1,9})(%?)", part) if isinstance(part, str) else None
    if match is None:
        return 1
    number = int(match.group(1))
    return max(1, number * whole // 100 if match.group(2) else number)


def _first_unknown(items: list[Value]) -> Unknown | None:
    return next((item for item in items if isinstance(item, Unknown)), None)


def _decided(items: list[Value], test: Reference, *, verdict: bool) -> Value:
    """`verdict` as soon as one item's test gives it; Unknown when only that could decide."""
    unknown = None
    for item in items:
        holds = truth(test(item), strict=True)
        if holds is verdict:
            return verdict
        if isinstance(holds, Unknown):
            unknown = holds if unknown is None else unknown
    return unknown if unknown is not None else not verdict


def _at_key(values: list[Value], by: Reference, pick: Callable[..., int]) -> Value:
    keys_of = [by(item) for item in values]
    unknown = _first_unknown(keys_of)
    if unknown is not None or not values:
        return unknown
    return values[pick(range(len(values)), key=_ordered(keys_of).__getitem__)]


def _numbers(items: list[Value]) -> list[Any]:
    if not all(is_number(item) for item in items):
        raise FunctionError("the list must hold numbers only")
    return items


def _ordered(items: list[Value]) -> list[Any]:
    if any(isinstance(item, Opaque) for item in items):
        raise FunctionError("secrets have no order")
    if not (all(is_number(item) for item in items) or all(isinstance(item, str) for item in items)):
        raise FunctionError("needs numbers only or texts only")
    return items
