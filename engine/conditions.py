"""Turn condition rules into conditions: True, False or Unknown, each with a reason.

The lines of `unless` are asked in their order: the first true one makes the condition False, the
first one without an answer makes it Unknown, none makes it True. Ready is the conjunction of
those that count. Pure. Neighbours: evaluate serves them as `cond`, report writes them.
"""

from __future__ import annotations

from collections.abc import Iterable

from engine.base.errors import ExpressionError
from engine.base.model import Condition
from engine.base.values import Unknown, Value
from engine.expr import Scope
from engine.ruleset.model import ConditionRule
from engine.ruleset.model_values import Form

READY = "Ready"
NO_ANSWER = "ObservationFailed"


def evaluate_condition(rule: ConditionRule, scope: Scope) -> Condition | None:
    """One condition, or None when its `when` says that it does not apply.

    An expression that does not fit this object makes its condition Unknown and spares the others.
    """
    try:
        return _condition(rule, scope)
    except ExpressionError as error:
        return Condition(type=rule.type, status="Unknown", reason="ExpressionError", message=str(error))


def _condition(rule: ConditionRule, scope: Scope) -> Condition | None:
    if rule.when is not None:
        applies = rule.when.evaluate(scope)
        if isinstance(applies, Unknown):
            return _unknown(rule, applies, scope)
        if not applies:
            return None
    if rule.is_ is not None:
        return _from_boolean(rule, rule.is_.evaluate(scope), scope)
    counts = _counts(rule, scope)
    for line in rule.unless:
        verdict = line.when.evaluate(scope)
        if isinstance(verdict, Unknown):
            return _unknown(rule, verdict, scope)
        if verdict:
            return Condition(
                type=rule.type,
                status="False",
                reason=_text(line.reason, scope, rule.type),
                message=_text(line.message, scope, ""),
                counts=counts,
            )
    return _from_boolean(rule, True, scope)


def ready(conditions: Iterable[Condition]) -> Condition:
    """The conjunction of the conditions that count; it carries the first obstacle's reason."""
    counting = [condition for condition in conditions if condition.counts]
    for status in ("False", "Unknown"):
        for condition in counting:
            if condition.status == status:
                message = f"{condition.type}: {condition.message}" if condition.message else condition.type
                return Condition(type=READY, status=status, reason=condition.reason, message=message)
    return Condition(type=READY, status="True", reason=READY, message="")


def _from_boolean(rule: ConditionRule, value: Value, scope: Scope) -> Condition:
    if isinstance(value, Unknown):
        return _unknown(rule, value, scope)
    return Condition(
        type=rule.type,
        status="True" if value else "False",
        reason=_text(rule.reason, scope, rule.type),
        message=_text(rule.message, scope, ""),
        counts=_counts(rule, scope),
    )


def _unknown(rule: ConditionRule, cause: Unknown, scope: Scope) -> Condition:
    return Condition(
        type=rule.type,
        status="Unknown",
        reason="NotObserved" if cause.skipped else NO_ANSWER,
        message=f"{cause.source}: {cause.reason}",
        counts=_counts(rule, scope),
    )


def _counts(rule: ConditionRule, scope: Scope) -> bool:
    """Whether it is part of Ready; while that cannot be told it is."""
    return rule.counts is None or rule.counts.evaluate(scope) is not False


def _text(form: Form | None, scope: Scope, otherwise: str) -> str:
    """A reason or message; one that cannot be told says so instead of hiding the condition."""
    value = otherwise if form is None else form.evaluate(scope)
    if isinstance(value, Unknown):
        return f"({value.source} unknown)" if otherwise == "" else otherwise
    return str(value) if value else otherwise
