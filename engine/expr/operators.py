"""Comparisons and the three-valued `&& || !`, as closures over their operands.

Unknown is neither true nor false: `false && unknown` is false, `true && unknown` is Unknown. In
rules a comparison of order wants numbers and a logical operand wants a boolean. Pure.
Neighbour: `compile`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from engine.base.errors import ExpressionError
from engine.base.values import Opaque, Unknown, Value, first_unknown
from engine.expr.scope import Scope

Closure = Callable[[Value, Scope], Value]


class FunctionError(Exception):
    """A function was given what it cannot take."""


@dataclass(frozen=True, slots=True)
class Reference:
    """`&expression`: evaluated by the function it is given to, once for each item."""

    closure: Closure
    scope: Scope

    def __call__(self, item: Value) -> Value:
        return self.closure(item, self.scope)


def truth(value: Value, *, strict: bool) -> Value:
    """True, False or Unknown; in rules anything but a boolean is an error."""
    if value is True or value is False or isinstance(value, Unknown):
        return value
    if strict:
        shown = "null" if value is None else type(value).__name__
        raise ExpressionError(f"needs true or false, got {shown}; compare it with something")
    return value is not None and value not in ("", [], {})


def negation(operand: Closure, *, strict: bool) -> Closure:
    """`!x`."""

    def run(current: Value, scope: Scope) -> Value:
        value = truth(operand(current, scope), strict=strict)
        return value if isinstance(value, Unknown) else not value

    return run


def conjunction(left: Closure, right: Closure, *, strict: bool) -> Closure:
    """`x && y`; the right side is not looked at where the left one decides."""

    def run(current: Value, scope: Scope) -> Value:
        first = left(current, scope)
        holds = truth(first, strict=strict)
        if holds is False:
            return first
        second = right(current, scope)
        if holds is True:
            return truth(second, strict=True) if strict else second
        return False if truth(second, strict=strict) is False else holds

    return run


def disjunction(left: Closure, right: Closure, *, strict: bool) -> Closure:
    """`x || y`; the right side is not looked at where the left one decides."""

    def run(current: Value, scope: Scope) -> Value:
        first = left(current, scope)
        holds = truth(first, strict=strict)
        if holds is True:
            return first
        second = right(current, scope)
        if holds is False:
            return truth(second, strict=True) if strict else second
        return True if truth(second, strict=strict) is True else holds

    return run


_SCALARS: Final = frozenset({str, int, float, bool, type(None)})
_ORDER: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "lt": lambda a, b: a < b,
    "lte": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "gte": lambda a, b: a >= b,
}


def is_word(left: Closure, word: str, *, wanted: bool) -> Closure:
    """`x == 'word'`, the most frequent test, and `x != 'word'`."""

    def run(current: Value, scope: Scope) -> Value:
        found = left(current, scope)
        if type(found) is str:
            return (found == word) is wanted
        return found if isinstance(found, Unknown) else equal(found, word) is wanted

    return run


def comparison(operator: str, left: Closure, right: Closure, *, strict: bool) -> Closure:
    """`== != < <= > >=`."""
    order = _ORDER.get(operator)
    if order is None:
        wanted = operator == "eq"

        def equality(current: Value, scope: Scope) -> Value:
            first, second = left(current, scope), right(current, scope)
            if type(first) in _SCALARS and type(second) in _SCALARS:
                return (first == second and (type(first) is bool) is (type(second) is bool)) is wanted
            if first is None or second is None:
                # Whether something is there does not hang on what is inside it.
                other = second if first is None else first
                return other if isinstance(other, Unknown) else not wanted
            unknown = first_unknown([first, second])
            return unknown if unknown is not None else equal(first, second) is wanted

        return equality

    def ordering(current: Value, scope: Scope) -> Value:
        first, second = left(current, scope), right(current, scope)
        if isinstance(first, Unknown) or isinstance(second, Unknown):
            return first if isinstance(first, Unknown) else second
        if is_number(first) and is_number(second):
            return order(first, second)
        if strict:
            raise ExpressionError(
                "only numbers have an order; convert times with epoch(), durations with duration()"
            )
        return None

    return ordering


def is_number(value: Value) -> bool:
    """A number, which a boolean is not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def equal(first: Value, second: Value) -> bool:
    """JSON equality: true is not 1. A secret may only be asked whether it is null; else ExpressionError."""
    if isinstance(first, bool) != isinstance(second, bool):
        return False
    if isinstance(first, Opaque) or isinstance(second, Opaque):
        if first is not None and second is not None:
            raise ExpressionError("a secret may only be compared with null")
        return False
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(equal(a, b) for a, b in zip(first, second, strict=True))
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(equal(first[key], second[key]) for key in first)
    return bool(first == second)
