"""`children:` and `rollout:` compiled: the nouns that act on many objects carefully.

Neighbours: `compile_steps` calls them; what they promise at run time is decide's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from engine.base.yamlnodes import MapNode, Node
from engine.ruleset.compile_context import (
    BOOLEAN,
    LIST,
    MAYBE_TEXT,
    TEXT,
    TEXT_MAP,
    Compiler,
    get,
    property_schema,
    text,
)
from engine.ruleset.model import ChildrenStep, KubeStep, Prune, RolloutStep
from engine.ruleset.units import CHILDREN_FIELDS, ROLLOUT_FIELDS, Unit, act_schema

Writer: TypeAlias = Callable[[Compiler, Unit, Node], KubeStep | None]

_COUNT = {"type": ["integer", "string"]}


def compile_children(compiler: Compiler, unit: Unit, node: Node) -> ChildrenStep | None:
    """One child object for each item; None when its kind is unknown."""
    unit.value_schema = act_schema(CHILDREN_FIELDS)
    kind = compiler.kind(get(node, "kind"))
    schema = compiler.catalog.object_schema(kind) if kind else {}
    prune_node = get(node, "prune")
    unit.pruned = prune_node is not None
    items = compiler.need(unit, get(node, "from"), "items", LIST, inside=False)
    name = text(get(node, "as"))
    unit.locals[name] = items
    existing = compiler.use(unit, get(node, "existing"), "items", LIST, inside=False)
    prune = None
    if prune_node is not None:
        child = text(get(prune_node, "as"))
        if child and existing is not None:
            unit.locals[child] = existing
        prune = Prune(
            item_name=child,
            gate=compiler.use(unit, get(prune_node, "gate"), "gate", BOOLEAN),
            lane=compiler.use(unit, get(prune_node, "lane"), "text", TEXT),
        )
    owner = {"type": "string", "enum": ["controller", "plain"]}
    parts = {
        "key": compiler.need(unit, get(node, "key"), "key", MAYBE_TEXT),
        "name": compiler.need(unit, get(node, "name"), "name", TEXT),
        "owner": compiler.use(unit, get(node, "owner"), "value", owner),
        "labels": compiler.use(unit, get(node, "labels"), "body", TEXT_MAP),
        "annotations_at_creation": compiler.use(unit, get(node, "annotationsAtCreation"), "body", TEXT_MAP),
        "spec": compiler.need(unit, get(node, "spec"), "body", property_schema(schema, "spec")),
        "existing": existing,
    }
    unit.present = parts["key"]
    if kind is None:
        return None
    return ChildrenStep(kind=kind, items=items, item_name=name, prune=prune, **parts)  # type: ignore[arg-type]


def compile_rollout(compiler: Compiler, unit: Unit, node: Node, writer: Writer) -> RolloutStep | None:
    """A gradual change of items; None when the change itself is unusable."""
    unit.value_schema = act_schema(ROLLOUT_FIELDS)
    items = compiler.need(unit, get(node, "items"), "items", LIST, inside=False)
    name = text(get(node, "as"))
    unit.locals[name] = items
    outdated = compiler.need(unit, get(node, "outdated"), "when", BOOLEAN)
    in_flight = compiler.need(unit, get(node, "inFlight"), "test", BOOLEAN)
    healthy = compiler.use(unit, get(node, "healthy"), "test", BOOLEAN)
    last = compiler.use(unit, get(node, "last"), "test", BOOLEAN)
    gate = compiler.use(unit, get(node, "gate"), "gate", BOOLEAN)
    lane = compiler.use(unit, get(node, "lane"), "text", TEXT)
    most = compiler.use(unit, get(node, "maxUnavailable"), "guard", _COUNT)
    since = compiler.use(unit, get(node, "since"), "text", {"type": "array", "items": MAYBE_TEXT})
    because = compiler.use(unit, get(node, "because"), "text", MAYBE_TEXT)
    do_node = get(node, "do")
    kube = get(do_node, "kube")
    do = writer(compiler, unit, kube) if isinstance(kube, MapNode) else None
    if do is None:
        return None
    return RolloutStep(
        items=items,
        item_name=name,
        outdated=outdated,
        in_flight=in_flight,
        healthy=healthy,
        last=last,
        gate=gate,
        max_unavailable=most,
        stuck_after_s=compiler.duration(get(node, "stuckAfter")),
        since=since,
        because=because,
        lane=lane,
        do=do,
    )
