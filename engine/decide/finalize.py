"""Decide the orderly end of an object: one finalize step after the other, then the finalizer goes.

A step is done when its `until` holds, or when it succeeded in this pass and has none; what is
unknown blocks the end, it is never skipped. Past `timeout` the rule's `onTimeout` says whether
to go on waiting or to let the object go, which the plan then notes for an event. Pure.
Neighbours: `plan` calls it; `act` carries the steps out and stops at the first that is not done.
"""

from __future__ import annotations

from dataclasses import replace

from engine.base.model import Mode, Plan, PlannedStep
from engine.base.timestamps import epoch
from engine.base.values import Unknown
from engine.decide.steps import StepContext, decide_step
from engine.decide.verdict import because, holds
from engine.evaluate import Evaluation
from engine.ruleset.model import Finalize


def decide_finalize(
    rule: Finalize,
    finalizer: str,
    context: StepContext,
    names: Evaluation,
    mode: Mode,
    *,
    concerned: bool | Unknown,
) -> Plan:
    """The plan of a pass over an object that is being deleted.

    `finalizer_change` is "remove" when nothing is left to wait for once the planned steps have
    succeeded; `act` takes it away only after all of them have.
    """
    plan = Plan(key=context.snapshot.key, mode=mode, finalizer=finalizer)
    if concerned is False:
        return replace(plan, finalizer_change="remove")
    running = [step for step, job in context.snapshot.jobs.items() if job.phase == "running"]
    if running:
        stopping = PlannedStep(id=running[0], phase="waiting", reason="its job is being stopped")
        return _unless_late(rule, context, replace(plan, steps=(stopping,)))
    skip = holds(rule.skip_when, names.scope, otherwise=False) if concerned is True else concerned
    if skip is True:
        return replace(plan, finalizer_change="remove")
    if isinstance(skip, Unknown):
        blocked = PlannedStep(id="finalize", phase="blocked", reason=because(skip))
        return _unless_late(rule, context, replace(plan, steps=(blocked,)))
    steps: list[PlannedStep] = []
    complete = True
    for step in rule.steps:
        planned, result = decide_step(step, context)
        names.decided(step.id, result)
        steps.extend(planned)
        waits = step.until is not None and any(item.phase == "do" for item in planned)
        if waits or any(item.phase in ("blocked", "waiting") for item in planned):
            complete = False
            break
    plan = replace(plan, steps=tuple(steps), results=dict(names.results.results))
    if complete:
        return replace(plan, finalizer_change="remove")
    return _unless_late(rule, context, plan)


def _unless_late(rule: Finalize, context: StepContext, plan: Plan) -> Plan:
    """Give the object up when its time is over and the rule says so."""
    if rule.timeout_s is None or rule.on_timeout == "block":
        return plan
    since = epoch(context.snapshot.object["metadata"]["deletionTimestamp"])
    if context.snapshot.now - since < rule.timeout_s:
        return plan
    waiting = next((item for item in plan.steps if item.phase in ("blocked", "waiting")), None)
    reason = waiting.reason if waiting else "its steps did not end"
    note = f"released after {int(rule.timeout_s)} s without its end being done: {reason}"
    return replace(plan, steps=(), finalizer_change="remove", note=note)
