"""Work out what the status of an object should say now, and how it differs from what it says.

Everything comes from this pass's observations and outcomes, never from what was sent earlier. A
field without an answer is left alone. Pure. Neighbours: `evaluate` gives the names, `publish`
writes the difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from engine.base.errors import ExpressionError
from engine.base.intents import as_written
from engine.base.model import Condition, Outcome, Plan, Snapshot
from engine.base.timestamps import rfc3339
from engine.base.values import OMIT, REMOVE, Unknown, Value, first_unknown
from engine.decide.verdict import text_of
from engine.evaluate import Evaluation
from engine.ruleset.model import Rule

_CHANGES = frozenset({"created", "updated", "deleted", "sent"})


@dataclass(frozen=True, slots=True)
class Told:
    """One event that the rule asks for."""

    type: Literal["normal", "warning"]
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Assessment:
    """The verdict of one pass. `patch` is the merge patch of `status`, empty when nothing differs."""

    conditions: tuple[Condition, ...]
    patch: Mapping[str, Any]
    events: tuple[Told, ...] = ()
    errors: tuple[str, ...] = ()

    @property
    def is_ready(self) -> bool:
        """Whether the Ready condition is True."""
        return any(item.type == "Ready" and item.status == "True" for item in self.conditions)


def with_outcomes(results: Mapping[str, Mapping[str, Value]], outcomes: Iterable[Outcome]) -> dict[str, Any]:
    """`act.<id>` after acting: what was planned, how the executed items ended and how many changed something."""
    told = {step: dict(result) for step, result in results.items()}
    for outcome in outcomes:
        result = told.setdefault(outcome.id, {})
        if outcome.status in _CHANGES:
            result["changed"] = result.get("changed", 0) + 1
        if outcome.status == "failed" and not result.get("failed"):
            code = outcome.error.code if outcome.error else "Failed"
            result |= {"failed": True, "error": {"code": code, "message": outcome.message}}
        elif outcome.status == "waiting":
            result |= {"phase": "waiting", "reason": outcome.message}
        elif outcome.result is not None:
            result["result"] = outcome.result
    return told


def assess(
    rule: Rule, snapshot: Snapshot, names: Evaluation, plan: Plan, sent: Mapping[str, str] | None
) -> Assessment:
    """Conditions and the status patch of this pass."""
    errors: list[str] = []
    live = snapshot.object.get("status") or {}
    wanted: dict[str, Any] = {}
    for field, form in rule.status.items():
        try:
            value = form.evaluate(names.scope)
        except ExpressionError as error:
            errors.append(f"status.{field}: {error}")
            continue
        if value is REMOVE:
            wanted[field] = None
        elif value is not OMIT and not isinstance(value, Unknown) and first_unknown(value) is None:
            wanted[field] = value
    conditions = names.verdicts.all()
    own = frozenset(item.type for item in rule.conditions) | {"Ready"}
    wanted["conditions"] = _merged(live.get("conditions") or [], conditions, own, snapshot)
    wanted["observedGeneration"] = snapshot.object["metadata"].get("generation", 1)
    if sent:
        at = rfc3339(snapshot.now)
        wanted["sent"] = {step: {"key": key, "at": at} for step, key in sent.items()}
    intents = _closed(live.get("intents") or [], plan)
    if intents is not None:
        wanted["intents"] = intents
    events = tuple(_events(rule, names, plan, errors))
    return Assessment(conditions, difference(live, wanted), events, tuple(errors))


def _events(rule: Rule, names: Evaluation, plan: Plan, errors: list[str]) -> Iterator[Told]:
    """What the rule tells in this mode; what cannot be told for sure is not."""
    for event in rule.events:
        if event.mode != plan.mode:
            continue
        try:
            if event.when.evaluate(names.scope) is True:
                yield Told(event.type, event.reason, text_of(event.message, names.scope))
        except ExpressionError as error:
            errors.append(f"event {event.reason}: {error}")


def difference(live: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The merge patch that makes the keys of `wanted` true in `live`; other keys stay."""
    patch: dict[str, Any] = {}
    for key, value in wanted.items():
        there = live.get(key)
        if value is None:
            if there is not None:
                patch[key] = None
        elif isinstance(value, Mapping) and isinstance(there, Mapping) and key != "sent":
            gone = {old: None for old in there if old not in value}
            inner = {**difference(there, value), **gone}
            if inner:
                patch[key] = inner
        elif there != value:
            patch[key] = value
    return patch


def _merged(
    live: list[dict[str, Any]], conditions: Iterable[Condition], own: frozenset[str], snapshot: Snapshot
) -> list[dict[str, Any]]:
    """Our conditions in the rule's order, then those of others as they stand."""
    before = {item["type"]: item for item in live}
    generation = snapshot.object["metadata"].get("generation", 1)
    merged = []
    for condition in conditions:
        old = before.get(condition.type, {})
        same = old.get("status") == condition.status and old.get("lastTransitionTime")
        merged.append(
            {
                "type": condition.type,
                "status": condition.status,
                "reason": condition.reason,
                "message": condition.message,
                "observedGeneration": generation,
                "lastTransitionTime": old["lastTransitionTime"] if same else rfc3339(snapshot.now),
            }
        )
    return merged + [item for item in live if item["type"] not in own]


def _closed(written: list[dict[str, Any]], plan: Plan) -> list[dict[str, Any]] | None:
    """The intents with those marked done whose steps have reached their `until`; None: no change."""
    done = {step.once.key: step.once for step in plan.steps if step.once is not None and step.phase == "done"}
    if not done:
        return None
    return [
        as_written(done[item["key"]]) | {"at": item["at"]} if item["key"] in done else item
        for item in written
    ]
