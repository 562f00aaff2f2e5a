"""Three-valued answers of a list of guards: all hold, one does not, or nobody can tell.

Pure. Neighbours: every decision about a step asks here first.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.base.kinds import Key
from engine.base.model import Lane
from engine.base.values import OMIT, Unknown, Value
from engine.expr import Scope
from engine.ruleset.model_values import Form


def all_hold(guards: Sequence[Form], scope: Scope) -> bool | Unknown:
    """True when every guard is; False when one is false, whatever the others; else Unknown."""
    unknown: Unknown | None = None
    for guard in guards:
        answer = guard.evaluate(scope)
        if isinstance(answer, Unknown):
            unknown = answer if unknown is None else unknown
        elif answer is not True:
            return False
    return unknown if unknown is not None else True


def holds(guard: Form | None, scope: Scope, *, otherwise: bool) -> bool | Unknown:
    """One guard, or `otherwise` where the rule has none."""
    return otherwise if guard is None else all_hold((guard,), scope)


def text_of(form: Form | None, scope: Scope) -> str:
    """A text for people; what cannot be told is shown as such and decides nothing."""
    value: Value = "" if form is None else form.evaluate(scope)
    if isinstance(value, Unknown):
        return f"({value.source} unknown)"
    return "" if value is None else str(value)


def because(unknown: Unknown) -> str:
    """Why a step is blocked, as plan and condition show it."""
    return f"{unknown.source} is unknown: {unknown.reason}"


def lane_of(form: Form | None, holder: Key, scope: Scope) -> Lane | Unknown | None:
    """The lane that an effect on `holder` has to take; None where the rule names none, or `omit()`."""
    name = OMIT if form is None else form.evaluate(scope)
    if isinstance(name, Unknown):
        return name
    return None if name is OMIT else Lane(name=str(name), holder=holder)
