"""Names in expressions: what exists, what may be read where, and that nothing runs in a circle.

Reports unknown lets, observations, steps, conditions and flags with a suggestion, roots that do not
exist in that place, reads of later steps, and cycles. Never looks below the second name: that is
`conform`. Neighbours: `check` runs it before the types.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from engine.ruleset.catalog import Catalog
from engine.ruleset.closure import Closure
from engine.ruleset.errors import Report, suggest
from engine.ruleset.forms import Site, sites_of
from engine.ruleset.references import Ref
from engine.ruleset.safety_many import references_of
from engine.ruleset.units import Unit, Use

READY: Final = "cond.Ready"
_PLURALS: Final = {
    "obs": "observation",
    "let": "let",
    "act": "step",
    "cond": "condition",
    "sent": "step",
    "job": "job",
}
_RULE_ROOTS: Final = frozenset({"self", "obs", "let", "act", "cond", "sent", "job", "settings", "now"})
ROOTS: Final = _RULE_ROOTS | {"once", "made", "event", "engine"}


class Names:
    """The names of one rule, and the sites whose names are wrong (they are not typed then)."""

    def __init__(
        self, units: Mapping[str, Unit], catalog: Catalog, report: Report, *, engine: bool = False
    ) -> None:
        self._units = units
        self._catalog = catalog
        self._report = report
        self._engine = engine
        self._known: dict[str, set[str]] = {root: set() for root in _PLURALS}
        for name in units:
            root, _, rest = name.partition(".")
            if root == "final":
                root = "act"
            if root in self._known:
                self._known[root].add(rest)
        self._known["sent"] = set(self._known["act"])
        jobs = (name for name, unit in units.items() if unit.step is not None and unit.step.job is not None)
        self._known["job"] = {name.partition(".")[2] for name in jobs}
        self._known["cond"].add("Ready")
        self.wrong: set[Site] = set()

    def check(self) -> None:
        """Everything there is to say about names."""
        for unit in self._units.values():
            for use in unit.uses:
                for site in sites_of(use.form):
                    self._check_site(unit, use, site)

    def roots(self, unit: Unit, use: Use) -> frozenset[str]:
        """The roots that exist in this place."""
        if self._engine:
            return frozenset({"engine", "settings"} | ({"event"} if unit.event is not None else set()))
        if unit.self_only:
            return frozenset({"self", "settings"})
        roots = set(_RULE_ROOTS)
        if unit.event is not None:
            roots.add("event")
        if use.once and unit.step is not None and unit.step.has_once:
            roots.add("once")
        if unit.made_schema is not None:
            roots.add("made")
        return frozenset(roots)

    def _check_site(self, unit: Unit, use: Use, site: Site) -> None:
        roots = self.roots(unit, use)
        for ref in site.facts.refs:
            root = ref.path[0]
            if root in unit.locals:
                continue
            if root in ROOTS and root not in roots and root != "made":
                self._misplaced(unit, site, ref)
            elif root in self._known and len(ref.path) > 1 and ref.path[1] not in self._known[root]:
                what = _PLURALS[root]
                self._add(
                    site, ref, "unknown-name", f"no {what} is called `{ref.path[1]}`", self._known[root]
                )
            elif root == "settings" and len(ref.path) > 1 and ref.path[1] not in self._catalog.flags:
                self._add(
                    site,
                    ref,
                    "unknown-flag",
                    f"the operator has no flag `{ref.path[1]}`",
                    self._catalog.flags,
                )
        for name in site.facts.asked:
            if name not in self._known["obs"]:
                self._add(
                    site,
                    Ref(("obs", name), 0),
                    "unknown-name",
                    f"no observation is called `{name}`",
                    self._known["obs"],
                )

    def _misplaced(self, unit: Unit, site: Site, ref: Ref) -> None:
        root = ref.path[0]
        hints = {
            "once": "only the request and the connection of a step with `once` know the target",
            "event": "only a metric with `on` has an event",
            "engine": "only rules/engine.yaml reads it",
        }
        where = "`for.where` may read `self` only" if unit.self_only else f"`{root}` does not exist here"
        self._add(site, ref, "not-here", where, (), hints.get(root, ""))

    def _add(
        self, site: Site, ref: Ref, code: str, message: str, known: Iterable[str], hint: str = ""
    ) -> None:
        self.wrong.add(site)
        offset = site.offset + ref.offset
        self._report.add(site.node, code, message, hint or suggest(ref.path[-1], known), offset=offset)


def check_order(units: Mapping[str, Unit], closure: Closure, report: Report) -> None:
    """Observations may not wait for steps, and a step may read only the steps before it."""
    earlier: set[str] = set()
    for unit in units.values():
        if unit.sort not in ("obs", "act", "final"):
            continue
        for use in unit.uses:
            for reached in closure.of([use.form]):
                for ref in reached.facts.refs:
                    name = ".".join(ref.path[:2])
                    if ref.path[0] == "act" and unit.sort == "obs":
                        message = f"a read cannot wait for a step{reached.through()}"
                        report.add(
                            reached.entry.node,
                            "not-here",
                            message,
                            offset=reached.entry.offset + reached.entry_offset,
                        )
                    elif (
                        ref.path[0] == "act" and name in units and name not in earlier and unit.sort != "obs"
                    ):
                        message = f"`{name}` is not decided yet here: a step reads earlier steps only{reached.through()}"
                        at = reached.entry_offset if reached.trail else ref.offset
                        report.add(
                            reached.entry.node,
                            "later-step",
                            message,
                            "change the order",
                            offset=reached.entry.offset + at,
                        )
        if unit.sort != "obs":
            earlier.add(unit.name.replace("final.", "act."))


def check_cycles(units: Mapping[str, Unit], report: Report) -> None:
    """No value may depend on itself."""
    edges = {name: sorted(references_of(unit) & (units.keys() | {READY})) for name, unit in units.items()}
    if READY not in units:
        edges[READY] = [name for name, unit in units.items() if unit.sort == "cond"]
    done: set[str] = set()
    for name in units:
        _walk(name, [], edges, done, units, report)


def _walk(
    name: str,
    path: list[str],
    edges: Mapping[str, list[str]],
    done: set[str],
    units: Mapping[str, Unit],
    report: Report,
) -> None:
    if name in path:
        circle = path[path.index(name) :]
        first = min(circle, key=lambda item: units[item].node.line if item in units else 1 << 30)
        start = circle.index(first)
        shown = " -> ".join([*circle[start:], *circle[:start], first])
        report.add(units[first].node, "cycle", f"this depends on itself: {shown}", "break the circle")
        return
    if name in done:
        return
    for other in edges.get(name, ()):
        _walk(other, [*path, name], edges, done, units, report)
    done.add(name)
