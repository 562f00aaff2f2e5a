"""Decide the child objects of a list of items, and which existing ones are no longer wanted.

An item without a key is not resolved: nobody knows which child it stands for, so no child is
made of it and none is pruned while there is one. The same holds while the list of items is null or
that of existing children is Unknown or null. Pure. Neighbours: `steps` calls it, `manifest` builds each child.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from engine.base.kinds import Key
from engine.base.model import KubeWrite, PlannedStep, Snapshot
from engine.base.values import Unknown, Value
from engine.decide.manifest import kube_write
from engine.decide.verdict import because, holds, lane_of, text_of
from engine.expr import Scope
from engine.ruleset.model import ChildrenStep, KubeStep, Prune, Step

Existing = Mapping[str, Any]

CHILDREN_FACTS = ("wanted", "unresolved", "surplus")
"""What `act.<id>` of a children step tells besides its phase."""


def decide_children(
    step: Step, body: ChildrenStep, snapshot: Snapshot, scope: Scope
) -> tuple[list[PlannedStep], dict[str, Value]]:
    """One planned write for each resolved item, then at most the prunes that are safe."""
    items = body.items.evaluate(scope)
    if isinstance(items, Unknown):
        return [PlannedStep(id=step.id, phase="blocked", reason=because(items))], {}
    planned: list[PlannedStep] = []
    wanted: list[str] = []
    unresolved = 0
    for item in items or ():
        inner = scope.child({body.item_name: item})
        key = body.key.evaluate(inner)
        if key is None or isinstance(key, Unknown):
            unresolved += 1
            continue
        child = _child(step, body, str(key), snapshot, inner)
        planned.append(child)
        if child.effect is None:
            unresolved += 1
        elif isinstance(child.effect, KubeWrite):
            wanted.append(child.effect.target.name)
    if items is None:
        pruned, surplus = _unsure(step, body, Unknown(f"act.{step.id}", "the list of items is null"))
    else:
        pruned, surplus = _prune(step, body, frozenset(wanted), unresolved, snapshot, scope)
    return planned + pruned, {"wanted": wanted, "unresolved": unresolved, "surplus": surplus}


def _child(step: Step, body: ChildrenStep, key: str, snapshot: Snapshot, scope: Scope) -> PlannedStep:
    write = kube_write(_as_kube_step(body), snapshot, scope)
    why = text_of(step.why, scope)
    if isinstance(write, Unknown):
        return PlannedStep(id=step.id, item=key, phase="blocked", reason=because(write), why=why)
    return PlannedStep(id=step.id, item=key, phase="do", effect=write, why=why)


def _as_kube_step(body: ChildrenStep) -> KubeStep:
    return KubeStep(
        verb="apply",
        kind=body.kind,
        name=body.name,
        owner=body.owner,
        labels=body.labels,
        annotations_at_creation=body.annotations_at_creation,
        body={"spec": body.spec},
    )


def _prune(
    step: Step, body: ChildrenStep, wanted: frozenset[str], unresolved: int, snapshot: Snapshot, scope: Scope
) -> tuple[list[PlannedStep], Value]:
    if body.prune is None or body.existing is None:
        return [], []
    existing = body.existing.evaluate(scope)
    if existing is None:
        existing = Unknown(f"act.{step.id}", "the list of existing children is null")
    if isinstance(existing, Unknown):
        return _unsure(step, body, existing)
    surplus = [child for child in existing if child["metadata"]["name"] not in wanted]
    names = [child["metadata"]["name"] for child in surplus]
    leaving = [child for child in surplus if child["metadata"].get("deletionTimestamp")]
    going = [child for child in surplus if child not in leaving]
    if not going:
        return [], names
    if unresolved:
        reason = f"{unresolved} item(s) are not resolved; nothing is pruned meanwhile"
        return [PlannedStep(id=step.id, item="prune", phase="waiting", reason=reason)], names
    return _deletions(step, body, body.prune, going, leaving, snapshot, scope), names


def _unsure(step: Step, body: ChildrenStep, cause: Unknown) -> tuple[list[PlannedStep], Value]:
    """Prune nothing: nobody can tell which children are too many."""
    if body.prune is None:
        return [], cause
    return [PlannedStep(id=step.id, item="prune", phase="blocked", reason=because(cause))], cause


def _deletions(
    step: Step,
    body: ChildrenStep,
    prune: Prune,
    going: list[Existing],
    leaving: list[Existing],
    snapshot: Snapshot,
    scope: Scope,
) -> list[PlannedStep]:
    """All surplus children that may go at once, or with a lane one after the other."""
    gates = [
        holds(prune.gate, scope.child({prune.item_name: child}) if prune.item_name else scope, otherwise=True)
        for child in going
    ]
    allowed = [child for child, gate in zip(going, gates, strict=True) if gate is True]
    if not allowed:
        unknown = next((gate for gate in gates if isinstance(gate, Unknown)), None)
        closed = f"{', '.join(child['metadata']['name'] for child in going)} stays"
        phase: Literal["blocked", "waiting"] = "waiting" if unknown is None else "blocked"
        reason = closed if unknown is None else because(unknown)
        return [PlannedStep(id=step.id, item="prune", phase=phase, reason=reason)]
    going = allowed
    if prune.lane is not None:
        if leaving:
            reason = f"{leaving[0]['metadata']['name']} is still leaving"
            return [PlannedStep(id=step.id, item="prune", phase="waiting", reason=reason)]
        going = going[:1]
    planned = []
    for child in going:
        target = Key(body.kind, snapshot.key.namespace, child["metadata"]["name"])
        lane = lane_of(prune.lane, target, scope)
        if isinstance(lane, Unknown):
            planned.append(PlannedStep(id=step.id, item=target.name, phase="blocked", reason=because(lane)))
            continue
        write = KubeWrite(verb="delete", target=target)
        planned.append(
            PlannedStep(
                id=step.id, item=target.name, phase="do", effect=write, lane=lane, why="no longer wanted"
            )
        )
    return planned
