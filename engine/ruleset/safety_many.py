"""The safety rules that look at several places: lanes on one quorum, filters before a prune, unused names.

Neighbours: `safety` has the rules for single steps, `check` runs all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from engine.base.yamlnodes import Node
from engine.ruleset.closure import Closure
from engine.ruleset.compile_context import get
from engine.ruleset.errors import Report
from engine.ruleset.forms import Compiled, sites_of
from engine.ruleset.units import Unit


def check_lanes(units: Iterable[Unit], closure: Closure, report: Report) -> None:
    """Gated disruptive steps whose gates read the same observation must name the same lane."""
    gated: list[tuple[Unit, frozenset[str], Node | None]] = []
    for unit in units:
        gates = [use.form for use in unit.uses if use.role == "gate"]
        if unit.step is None or not gates or not _disrupts(unit):
            continue
        evidence = frozenset(path[1] for path in closure.reads(gates) if path[0] == "obs" and len(path) > 1)
        gated.append((unit, evidence, _lane_node(unit)))
    for index, (unit, evidence, lane) in enumerate(gated):
        for other, other_evidence, other_lane in gated[:index]:
            shared = evidence & other_evidence
            if not shared or (lane is not None and _words(lane) == _words(other_lane)):
                continue
            message = f"this and `{other.name}` both ask `obs.{min(shared)}` before they disrupt, on different lanes"
            report.add(
                lane or unit.node,
                "lanes-differ",
                message,
                "give both the same `lane`: otherwise each passes its gate and two go down",
            )


def _disrupts(unit: Unit) -> bool:
    step = unit.step
    return step is not None and (
        bool(step.hazard) or "rollout" in step.node.keys or "children" in step.node.keys
    )


def _lane_node(unit: Unit) -> Node | None:
    node: Node = unit.step.node if unit.step is not None else unit.node
    for path in (("lane",), ("rollout", "lane"), ("children", "prune", "lane")):
        found: Node | None = node
        for key in path:
            found = get(found, key)
        if found is not None:
            return found
    return None


def _words(node: Node | None) -> str:
    return getattr(node, "text", "").replace(" ", "")


def check_prune_source(unit: Unit, closure: Closure, report: Report) -> None:
    """A list from which unresolved items were filtered away may not decide what is deleted."""
    form = _deleting_items(unit)
    if form is None:
        return
    for reached in closure.of([form]):
        for offset in reached.facts.dropping_filters:
            inside = reached.trail
            report.add(
                reached.site.node if inside else reached.entry.node,
                "filter-feeds-prune",
                f"this filter drops items that are not resolved, and `{unit.name}` deletes what is not in the list",
                "give `children.from` the whole list: an item whose `key` is null is never pruned",
                offset=(reached.site if inside else reached.entry).offset + offset,
            )


def _deleting_items(unit: Unit) -> Compiled | None:
    """The items of a step that deletes what it is not told to keep."""
    if unit.step is None or unit.sort != "act":
        return None
    node = unit.step.node
    rollout: Node | None = node.values.get("rollout")
    deletes = get(get(get(rollout, "do"), "kube"), "delete") or get(node.values.get("kube"), "delete")
    if not unit.pruned and deletes is None:
        return None
    return next((use.form for use in unit.uses if use.role == "items"), None)


def check_unused(units: Mapping[str, Unit], brought: frozenset[str], report: Report) -> None:
    """Every let and every observation must be read by something that has an effect."""
    reached: set[str] = set()
    waiting = [unit for unit in units.values() if unit.sort not in ("let", "obs")]
    while waiting:
        unit = waiting.pop()
        for name in references_of(unit):
            if name in units and name not in reached:
                reached.add(name)
                waiting.append(units[name])
    for name, unit in units.items():
        if unit.sort in ("let", "obs") and name not in reached and name not in brought:
            report.add(unit.node, "unused", f"`{name}` is never used", "take it away, or use it")


def references_of(unit: Unit) -> frozenset[str]:
    """The lets, observations, steps and conditions that the forms of `unit` name directly."""
    names: set[str] = set()
    for use in unit.uses:
        for site in sites_of(use.form):
            facts = site.facts
            names |= {f"{ref.path[0]}.{ref.path[1]}" for ref in facts.refs if len(ref.path) > 1}
            names |= {f"obs.{name}" for name in facts.asked}
    return frozenset(names)
