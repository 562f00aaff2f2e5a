"""Functions that look at their arguments themselves: lazily, at Unknown, or at the pass they run in.

Only `known`, `failed` and `error` look behind an Unknown; the loader forbids them where that could
turn a failed read into an effect. Each gets the closures of its arguments and makes one. Pure: the
time is the scope's `now`, fixed for the pass. Neighbour: `functions` collects them.
"""

from __future__ import annotations

from engine.base.errors import ExpressionError
from engine.base.values import Unknown, Value, first_unknown
from engine.expr.functions_text import seconds_of
from engine.expr.operators import Closure, truth
from engine.expr.scope import ReadState, Scope
from engine.expr.signatures import special


@special("default(value: any?, otherwise: any?) -> any?")
def default(arguments: list[Closure]) -> Closure:
    """The second where the first is null; Unknown stays Unknown."""
    value, otherwise = arguments

    def run(current: Value, scope: Scope) -> Value:
        found = value(current, scope)
        return otherwise(current, scope) if found is None else found

    return run


@special("coalesce(values: any?, ...) -> any?")
def coalesce(arguments: list[Closure]) -> Closure:
    """The first that is not null; those after it are not looked at."""

    def run(current: Value, scope: Scope) -> Value:
        for argument in arguments:
            found = argument(current, scope)
            if found is not None:
                return found
        return None

    return run


@special("known(value: any?, otherwise: any?) -> any?")
def known(arguments: list[Closure]) -> Closure:
    """The second where the first, or something inside it, is unknown."""
    value, otherwise = arguments

    def run(current: Value, scope: Scope) -> Value:
        found = value(current, scope)
        return found if first_unknown(found) is None else otherwise(current, scope)

    return run


@special("if(test: boolean, then: any?, otherwise: any?) -> any?")
def choose(arguments: list[Closure]) -> Closure:
    """One of two; only that one is looked at."""
    test, then, otherwise = arguments

    def run(current: Value, scope: Scope) -> Value:
        holds = truth(test(current, scope), strict=True)
        if isinstance(holds, Unknown):
            return holds
        return then(current, scope) if holds else otherwise(current, scope)

    return run


@special("failed(read: string) -> boolean")
def failed(arguments: list[Closure]) -> Closure:
    """Whether a read of `observe` has no answer."""
    return lambda current, scope: _state(arguments[0](current, scope), scope).status == "error"


@special("error(read: string) -> object?")
def error(arguments: list[Closure]) -> Closure:
    """{code, message} of a read that failed or whose failure is tolerated; null where it did not."""

    def run(current: Value, scope: Scope) -> Value:
        state = _state(arguments[0](current, scope), scope)
        if state.status not in ("error", "tolerated"):
            return None
        return {"code": state.code, "message": state.message}

    return run


@special("age(time: timestamp) -> number")
def age(arguments: list[Closure]) -> Closure:
    """Seconds from a time to the pass's `now`."""
    return _from_now(arguments[0], "age", -1)


@special("left(time: timestamp) -> number")
def left(arguments: list[Closure]) -> Closure:
    """Seconds from the pass's `now` to a time; negative after it."""
    return _from_now(arguments[0], "left", 1)


def _from_now(time: Closure, name: str, sign: int) -> Closure:
    def run(current: Value, scope: Scope) -> Value:
        found = time(current, scope)
        if isinstance(found, Unknown):
            return found
        try:
            return sign * (seconds_of(found) - seconds_of(scope.lookup("now")))
        except (TypeError, ValueError) as problem:
            raise ExpressionError(
                f"{name}() needs a time such as 2026-01-31T12:00:00Z, this is none"
            ) from problem

    return run


def _state(name: Value, scope: Scope) -> ReadState:
    state = getattr(scope.lookup("obs"), "state", None)
    if state is None or not isinstance(name, str):
        raise ExpressionError("failed() and error() take the name of an observation")
    found: ReadState = state(name)
    return found
