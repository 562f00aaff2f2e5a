"""Decide one step of a rule: do it, skip it, wait for it, or say what it is blocked by.

The order of the questions is the safety of the engine: the guards first (Unknown blocks), then
whether it is done, then its gate, and only then what would be sent; an Unknown in what would be
sent blocks as well. Pure. Neighbours: `plan` and `finalize` call it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from engine.base.errors import ExpressionError
from engine.base.intents import intent_from
from engine.base.model import (
    CapabilityCall,
    Effect,
    Intent,
    Lane,
    Made,
    Phase,
    PlannedStep,
    Snapshot,
    TalosCall,
)
from engine.base.timestamps import rfc3339
from engine.base.values import Unknown, Value, first_unknown
from engine.decide.children import CHILDREN_FACTS, decide_children
from engine.decide.manifest import kube_write
from engine.decide.rollout import ROLLOUT_FACTS, decide_rollout
from engine.decide.verdict import all_hold, because, holds, lane_of, text_of
from engine.expr import Scope
from engine.ruleset.model import CallRead, CallStep, ChildrenStep, KubeStep, RolloutStep, Step, TalosStep
from engine.ruleset.model_values import Connect

StepResult = dict[str, Value]

SETTLE_S = 5.0
"""How long an open intent is only looked at before it may be sent again: a request that was on its
way when a process died has arrived by then, so that what is observed is its effect."""


@dataclass(frozen=True, slots=True)
class StepContext:
    """What every step of one pass shares."""

    snapshot: Snapshot
    scope: Scope


class MadeNames:
    """`made` while planning: each field stands for what `make` will give."""

    def lookup(self, name: str) -> Value:
        """The stand-in for one field."""
        return Made(name)


def decide_step(step: Step, context: StepContext) -> tuple[list[PlannedStep], StepResult]:
    """The planned items of one step, and what `act.<id>` says of it."""
    planned: list[PlannedStep] = []
    extra: StepResult = {}
    try:
        for item, scope in _items(step, context.scope):
            if isinstance(scope, Unknown):
                planned.append(PlannedStep(id=step.id, phase="blocked", reason=because(scope)))
            elif isinstance(step.body, ChildrenStep | RolloutStep):
                some, extra = _many(step, step.body, context.snapshot, scope)
                planned.extend(some)
            else:
                planned.append(replace(_one(step, context.snapshot, scope), item=item))
    except ExpressionError as error:
        planned.append(PlannedStep(id=step.id, phase="blocked", reason=str(error)))
    if isinstance(step.body, ChildrenStep | RolloutStep) and not extra:
        extra = _unreached(step, planned)
    return planned, {**_result(planned), **extra}


def _unreached(step: Step, planned: list[PlannedStep]) -> StepResult:
    """What a noun would have told, had it been reached: unknown, like everything nobody looked at."""
    names = CHILDREN_FACTS if isinstance(step.body, ChildrenStep) else ROLLOUT_FACTS
    first = next(iter(planned), None)
    reason = first.reason if first is not None else "the step was not reached"
    skipped = first is not None and first.phase == "skipped"
    return {name: Unknown(f"act.{step.id}", reason, skipped=skipped) for name in names}


def _items(step: Step, scope: Scope) -> Iterator[tuple[str, Scope | Unknown]]:
    if step.for_each is None:
        yield "", scope
        return
    items = step.for_each.items.evaluate(scope)
    if isinstance(items, Unknown):
        yield "", items
        return
    for item in items or ():
        inner = scope.child({step.for_each.name: item})
        key = step.for_each.key.evaluate(inner)
        if key is None:
            key = Unknown(f"act.{step.id}", "an item of forEach has no key")
        yield ("", key) if isinstance(key, Unknown) else (str(key), inner)


def _many(
    step: Step, body: ChildrenStep | RolloutStep, snapshot: Snapshot, scope: Scope
) -> tuple[list[PlannedStep], StepResult]:
    guard = all_hold(step.when, scope)
    if guard is not True:
        blocked = isinstance(guard, Unknown)
        reason = because(guard) if isinstance(guard, Unknown) else "`when` is false"
        skipped = PlannedStep(id=step.id, phase="blocked" if blocked else "skipped", reason=reason)
        return [skipped], {}
    if isinstance(body, ChildrenStep):
        return decide_children(step, body, snapshot, scope)
    return decide_rollout(step, body, snapshot, scope)


def _one(step: Step, snapshot: Snapshot, scope: Scope) -> PlannedStep:
    """One plain step: kube, talos or call."""
    intent = _intent(step, snapshot, scope)
    if isinstance(intent, Unknown):
        return _blocked(step, intent)
    if intent is not None:
        scope = scope.child({"once": {"target": intent.target}})
    lane = lane_of(step.lane, snapshot.key, scope)
    if isinstance(lane, Unknown):
        return _blocked(step, lane)
    ended = _has_ended(step, intent, scope)
    if isinstance(ended, Unknown):
        return _blocked(step, ended)
    if ended:
        closing = replace(intent, done=True) if intent is not None and not intent.done else None
        return PlannedStep(id=step.id, phase="done", once=closing, release=lane)
    if intent is not None and intent.done and step.until is None:
        # Carried out once: whatever became of what its guards read, it is not asked for again.
        return PlannedStep(id=step.id, phase="done", release=lane)
    guard = all_hold(step.when, scope)
    if isinstance(guard, Unknown):
        return _blocked(step, guard)
    if not guard:
        return PlannedStep(id=step.id, phase="skipped", reason="`when` is false")
    if intent is not None and intent.done:
        return PlannedStep(id=step.id, phase="done", release=lane)
    return _wanted(step, snapshot, scope, intent, lane)


def _wanted(
    step: Step, snapshot: Snapshot, scope: Scope, intent: Intent | None, lane: Lane | None
) -> PlannedStep:
    """A step whose guards hold: done as soon as nothing stands in its way."""
    why = text_of(step.why, scope)
    gate = holds(step.gate, scope, otherwise=True)
    if isinstance(gate, Unknown):
        return _blocked(step, gate, why)
    obstacle = "its gate is closed" if not gate else _settling(intent, snapshot.now) or _busy(step, snapshot)
    if obstacle:
        return PlannedStep(id=step.id, phase="waiting", reason=obstacle, why=why)
    return _executable(step, snapshot, scope, intent, lane, why)


def _has_ended(step: Step, intent: Intent | None, scope: Scope) -> bool | Unknown:
    """Whether `until` holds; of what must happen once it counts only after a first attempt.

    What may have been sent and cannot be looked at is Unknown: it is not sent again meanwhile.
    """
    if step.until is None or (intent is not None and intent.attempt == 0):
        return False
    answer = step.until.evaluate(scope)
    if isinstance(answer, Unknown) and intent is not None and not intent.done and not answer.skipped:
        return answer
    return answer is True


def _settling(intent: Intent | None, now: float) -> str:
    """Why an intent that is open may not be sent again yet, or ""."""
    if intent is None or intent.attempt == 0 or now - intent.at >= SETTLE_S:
        return ""
    return "it may have been sent a moment ago; looking first"


def _busy(step: Step, snapshot: Snapshot) -> str:
    """Why the job of a step is not begun now, or ""."""
    state = snapshot.jobs.get(step.id)
    if not step.job or state is None:
        return ""
    if state.phase == "running":
        return f"it runs since {rfc3339(state.since)}"
    if state.again_at > snapshot.now:
        told = f"it failed ({state.error})" if state.phase == "failed" else "it has just ended"
        return f"{told}; not begun again before {rfc3339(state.again_at)}"
    return ""


def _blocked(step: Step, cause: Unknown, why: str = "") -> PlannedStep:
    return PlannedStep(id=step.id, phase="blocked", reason=because(cause), why=why)


def _executable(
    step: Step, snapshot: Snapshot, scope: Scope, intent: Intent | None, lane: Lane | None, why: str
) -> PlannedStep:
    make = _make(step.make, scope)
    if isinstance(make, Unknown):
        return _blocked(step, make, why)
    effect = effect_of(step.body, snapshot, scope.child({"made": MadeNames()}) if step.make else scope)
    if isinstance(effect, Unknown):
        return _blocked(step, effect, why)
    record = step.record.evaluate(scope) if step.record is not None else None
    if isinstance(record, Unknown):
        return _blocked(step, record, why)
    return PlannedStep(
        id=step.id,
        phase="do",
        why=why,
        effect=effect,
        make=make,
        once=intent,
        lane=lane,
        record=None if record is None else str(record),
        irreversible=step.hazard == "irreversible",
        job=step.job,
        closes=step.once is not None and step.until is None,
    )


def effect_of(
    body: KubeStep | TalosStep | CallStep | Any, snapshot: Snapshot, scope: Scope
) -> Effect | Unknown:
    """What would be sent, or the Unknown inside it."""
    if isinstance(body, KubeStep):
        return kube_write(body, snapshot, scope)
    if isinstance(body, CallStep):
        given = body.input.evaluate(scope)
        return _call(body.capability.name, given)
    request = {} if body.request is None else body.request.evaluate(scope)
    where = connection(body.connect, scope)
    if isinstance(where, Unknown):
        return where
    unknown = first_unknown(request)
    if unknown is not None:
        return unknown
    address, identity = where
    return TalosCall(method=body.method, address=address, identity=identity, request=request)


def connection(connect: Connect, scope: Scope) -> tuple[str, Any] | Unknown:
    """Address and identity (None: maintenance mode) of a Talos call."""
    address = connect.endpoint.evaluate(scope)
    insecure = connect.insecure.evaluate(scope) if connect.insecure is not None else False
    unknown = first_unknown([address, insecure])
    if unknown is not None:
        return unknown
    if insecure or connect.identity is None:
        return str(address), None
    identity = connect.identity.evaluate(scope)
    return identity if isinstance(identity, Unknown) else (str(address), identity)


def _make(make: CallRead | None, scope: Scope) -> CapabilityCall | Unknown | None:
    if make is None:
        return None
    given = make.input.evaluate(scope)
    return _call(make.capability.name, given)


def _call(name: str, given: Value) -> CapabilityCall | Unknown:
    unknown = first_unknown(given)
    return CapabilityCall(name=name, input=given) if unknown is None else unknown


def _intent(step: Step, snapshot: Snapshot, scope: Scope) -> Intent | Unknown | None:
    """The written intent of this step, or a fresh one with attempt 0 and the target it would take."""
    if step.once is None:
        return None
    key = step.once.key.evaluate(scope)
    if isinstance(key, Unknown):
        return key
    for written in (snapshot.object.get("status") or {}).get("intents") or ():
        if written["key"] == key:
            return intent_from(written)
    target = step.once.target.evaluate(scope) if step.once.target is not None else ""
    if isinstance(target, Unknown):
        return target
    return Intent(key=str(key), target=str(target), attempt=0, at=snapshot.now)


def _result(planned: list[PlannedStep]) -> StepResult:
    """What later steps and conditions read as `act.<id>` before anything was sent."""
    phases: set[Phase] = {item.phase for item in planned}
    phase = next((word for word in ("blocked", "waiting", "do", "done") if word in phases), "skipped")
    reason = next((item.reason for item in planned if item.phase == phase), "")
    done = bool(planned) and phases <= {"done"}
    return {
        "phase": phase,
        "reason": reason,
        "done": done,
        "changed": 0,
        "failed": False,
        "error": None,
        "result": None,
    }
