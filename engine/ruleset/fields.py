"""Which fields of an answer the rules read.

Of a Talos reply only those are converted; of a Kubernetes object only their changes wake its reader.
Follows lets. A read with `pick` needs what `pick` reads of the answer; one without needs what every
expression reads below `obs.<name>`. Anything that uses the reply as a whole asks for all of it.
Neighbours: `check` puts the trees into the reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from engine.base.fieldtree import FieldTree
from engine.ruleset.forms import sites_of
from engine.ruleset.model import CosiRead, KubeGet, ObserveRule, TalosRead
from engine.ruleset.references import Ref
from engine.ruleset.units import Unit

Paths = Mapping[str, frozenset[tuple[str, ...]]]
"""Unit name of a read -> the paths below its raw answer that are read."""

_NOTHING: Final[FieldTree] = {}


def paths_of(units: Mapping[str, Unit]) -> Paths:
    """What all expressions of a rule read below each of its answers."""
    found: dict[str, set[tuple[str, ...]]] = {
        name: set() for name, unit in units.items() if unit.sort == "obs"
    }
    for unit in units.values():
        for use in unit.uses:
            for site in sites_of(use.form):
                if use.role == "pick":
                    found[unit.name] |= site.facts.below
                for ref in site.facts.refs:
                    _note(ref, units, found)
    return {name: frozenset(paths) for name, paths in found.items()}


def remembered(units: Mapping[str, Unit]) -> frozenset[str] | None:
    """The fields of the object's own status that a rule reads; None when it reads it as a whole."""
    found: set[str] = set()
    for unit in units.values():
        for use in unit.uses:
            for site in sites_of(use.form):
                for ref in site.facts.refs:
                    if ref.path in {("self",), ("self", "status")}:
                        return None
                    if ref.path[:2] == ("self", "status"):
                        found.add(ref.path[2])
    return frozenset(found)


def _note(ref: Ref, units: Mapping[str, Unit], found: dict[str, set[tuple[str, ...]]]) -> None:
    name = ".".join(ref.path[:2])
    unit = units.get(name)
    if unit is None or name not in found or unit.pick is not None:
        return
    below = ref.path[2:]
    if ref.presence and not below:
        return  # whether there is an answer at all is known without any of its fields
    if unit.for_each:
        if below[:1] != ("value",) and below:
            return
        below = below[1:]
    found[name].add(below)


def with_fields(rules: Iterable[ObserveRule], paths: Paths) -> tuple[ObserveRule, ...]:
    """The reads with their field trees."""
    return tuple(_with_fields(rule, paths.get(f"obs.{rule.name}", frozenset())) for rule in rules)


def _with_fields(rule: ObserveRule, paths: frozenset[tuple[str, ...]]) -> ObserveRule:
    source = rule.source
    if isinstance(source, TalosRead):
        return replace(rule, source=replace(source, fields=tree_of(paths)))
    if isinstance(source, CosiRead):
        tree = tree_of(paths)
        whole = {"metadata": _NOTHING, "spec": _NOTHING, **tree} if tree is not None else None
        return replace(rule, source=replace(source, fields=whole))
    if isinstance(source, KubeGet):
        return replace(rule, source=replace(source, fields=tree_of(paths)))
    return rule


def tree_of(paths: Iterable[tuple[str, ...]]) -> FieldTree | None:
    """Paths as a tree; None when the whole answer is used."""
    tree: dict[str, FieldTree | None] = {}
    for path in sorted(paths):
        if not path:
            return None
        _insert(tree, path)
    return tree


def _insert(tree: dict[str, FieldTree | None], path: tuple[str, ...]) -> None:
    head, rest = path[0], path[1:]
    if not rest:
        tree[head] = None
        return
    below = tree.setdefault(head, {})
    if below is not None:
        assert isinstance(below, dict)
        _insert(below, rest)
