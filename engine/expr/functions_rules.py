"""The functions that rules have beyond JMESPath.

Only `known`, `failed` and `error` look behind an Unknown. Times come from the scope's `now`, which
is fixed for the pass. Pure. Neighbour: `functions` lists them.
"""

from __future__ import annotations

import base64
import re
from typing import Any

from engine.base.errors import ExpressionError
from engine.base.timestamps import epoch
from engine.base.values import OMIT, REMOVE, Opaque, Unknown, Value
from engine.base.yamltext import dump
from engine.expr.durations import seconds_in
from engine.expr.operators import Closure, FunctionError, Reference, truth
from engine.expr.scope import Scope

_VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.-]+))?(?:\+.*)?")


def never(scope: Scope, *values: Value) -> Value:
    """Stands where a lazy function has no eager form."""
    raise FunctionError("is evaluated lazily")


def duration(scope: Scope, text: Value) -> Value:
    return seconds_in(text)


def epoch_of(scope: Scope, time: Value) -> Value:
    return time if isinstance(time, int | float) else epoch(time)


def age(scope: Scope, time: Value) -> Value:
    return scope.lookup("now") - epoch_of(scope, time)


def left(scope: Scope, time: Value) -> Value:
    return epoch_of(scope, time) - scope.lookup("now")


def take(scope: Scope, values: Value, most: Value) -> Value:
    return values[: max(0, most)]


def all_but_last(scope: Scope, values: Value, keep: Value) -> Value:
    return values[: max(0, len(values) - keep)]


def lookup(scope: Scope, found: Value, key: Value) -> Value:
    return None if found is None else found.get(key)


def lower(scope: Scope, text: Value) -> Value:
    return text.lower()


def replace(scope: Scope, text: Value, old: Value, new: Value) -> Value:
    return text.replace(old, new)


def b64encode(scope: Scope, text: Value) -> Value:
    if isinstance(text, Opaque):
        return Opaque(base64.b64encode(text.reveal().encode()).decode())
    return base64.b64encode(text.encode()).decode()


def to_yaml(scope: Scope, value: Value) -> Value:
    return dump(value)


def omit(scope: Scope) -> Value:
    return OMIT


def remove(scope: Scope) -> Value:
    return REMOVE


def is_true(scope: Scope, conditions: Value, *types: Value) -> Value:
    return any(item.get("type") in types and item.get("status") == "True" for item in conditions or ())


def any_of(scope: Scope, values: Value, test: Reference) -> Value:
    unknown = None
    for item in values:
        holds = truth(test(item), strict=True)
        if holds is True:
            return True
        unknown = holds if isinstance(holds, Unknown) else unknown
    return unknown if unknown is not None else False


def all_of(scope: Scope, values: Value, test: Reference) -> Value:
    unknown = None
    for item in values:
        holds = truth(test(item), strict=True)
        if holds is False:
            return False
        unknown = holds if isinstance(holds, Unknown) else unknown
    return unknown if unknown is not None else True


def count(scope: Scope, values: Value, test: Reference) -> Value:
    number = 0
    for item in values:
        holds = truth(test(item), strict=True)
        if isinstance(holds, Unknown):
            return holds
        number += holds
    return number


def portion(scope: Scope, part: Value, whole: Value) -> Value:
    """An int-or-percent of `whole`, rounded down and at least 1; what is neither counts as 1."""
    if isinstance(part, int) and not isinstance(part, bool):
        return max(1, part)
    match = re.fullmatch(r"(\d+)%?", part) if isinstance(part, str) else None
    if match is None:
        return 1
    number = int(match.group(1))
    return max(1, number * whole // 100 if part.endswith("%") else number)


def semver_cmp(scope: Scope, first: Value, second: Value) -> Value:
    one, other = _version(first), _version(second)
    return (one > other) - (one < other)


def _version(text: str) -> tuple[Any, ...]:
    match = _VERSION.fullmatch(text)
    if match is None:
        raise FunctionError(f"{text!r} is no version")
    numbers = tuple(int(match.group(index)) for index in (1, 2, 3))
    before = match.group(4)
    if before is None:
        return (*numbers, 1, ())
    return (*numbers, 0, tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in before.split(".")))


def default(arguments: list[Closure]) -> Closure:
    value, otherwise = arguments

    def run(current: Value, scope: Scope) -> Value:
        found = value(current, scope)
        return otherwise(current, scope) if found is None else found

    return run


def coalesce(arguments: list[Closure]) -> Closure:
    def run(current: Value, scope: Scope) -> Value:
        for argument in arguments:
            found = argument(current, scope)
            if found is not None:
                return found
        return None

    return run


def known(arguments: list[Closure]) -> Closure:
    value, otherwise = arguments

    def run(current: Value, scope: Scope) -> Value:
        found = value(current, scope)
        return otherwise(current, scope) if isinstance(found, Unknown) else found

    return run


def choose(arguments: list[Closure]) -> Closure:
    test, then, otherwise = arguments

    def run(current: Value, scope: Scope) -> Value:
        holds = truth(test(current, scope), strict=True)
        if isinstance(holds, Unknown):
            return holds
        return then(current, scope) if holds else otherwise(current, scope)

    return run


def failed(arguments: list[Closure]) -> Closure:
    def run(current: Value, scope: Scope) -> Value:
        return bool(_state(arguments[0](current, scope), scope).status == "error")

    return run


def error(arguments: list[Closure]) -> Closure:
    def run(current: Value, scope: Scope) -> Value:
        state = _state(arguments[0](current, scope), scope)
        if state.status not in ("error", "tolerated"):
            return None
        return {"code": state.code, "message": state.message}

    return run


def _state(name: Value, scope: Scope) -> Any:
    observations = scope.lookup("obs")
    state = getattr(observations, "state", None)
    if state is None or not isinstance(name, str):
        raise ExpressionError("failed() and error() take the name of an observation")
    return state(name)
