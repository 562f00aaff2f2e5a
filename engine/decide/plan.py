"""Decide a whole pass: the mode, the finalizer, then every step in the order of the rule.

A step sees the results of the steps before it (`act.<id>`). Nothing is sent from here; `act`
carries the Plan out. Neighbours: `evaluate` gives the names, `steps` and `finalize` decide.
"""

from __future__ import annotations

from engine.base.model import FinalizerChange, Mode, Plan, Snapshot
from engine.base.values import Unknown
from engine.decide.finalize import decide_finalize
from engine.decide.steps import StepContext, decide_step
from engine.decide.verdict import holds
from engine.evaluate import Evaluation
from engine.ruleset.model import Rule


def decide(rule: Rule, snapshot: Snapshot, names: Evaluation) -> Plan:
    """The plan of this pass.

    An object that is being deleted gets its finalize steps, one that `where` leaves out gets
    the finalizer and nothing else, and a mode that cannot be told does nothing.
    """
    mode = _mode(rule, names)
    if mode == "nothing":
        return Plan(key=snapshot.key, mode=mode)
    context = StepContext(snapshot=snapshot, scope=names.scope)
    finalizer = str(rule.finalize.name.evaluate(names.scope)) if rule.finalize else ""
    metadata = snapshot.object["metadata"]
    held = finalizer in (metadata.get("finalizers") or ())
    if metadata.get("deletionTimestamp"):
        if rule.finalize is None or not held:
            return Plan(key=snapshot.key, mode=mode)
        return decide_finalize(
            rule.finalize, finalizer, context, names, mode, concerned=concerns(rule, names)
        )
    change: FinalizerChange | None = "add" if finalizer and not held else None
    if concerns(rule, names) is not True:
        return Plan(key=snapshot.key, mode=mode, finalizer=finalizer, finalizer_change=change)
    steps = []
    for step in rule.act:
        planned, result = decide_step(step, context)
        names.decided(step.id, result)
        steps.extend(planned)
    return Plan(
        key=snapshot.key,
        mode=mode,
        steps=tuple(steps),
        results=dict(names.results.results),
        finalizer=finalizer,
        finalizer_change=change,
    )


def concerns(rule: Rule, names: Evaluation) -> bool | Unknown:
    """Whether `for.where` takes this object in; while that cannot be told nothing is done about it."""
    return holds(rule.where, names.scope, otherwise=True)


def _mode(rule: Rule, names: Evaluation) -> Mode:
    if rule.mode is None:
        return "act"
    word = rule.mode.evaluate(names.scope)
    if isinstance(word, Unknown):
        return "nothing"
    return "dryrun" if word == "dryrun" else "nothing" if word == "nothing" else "act"
