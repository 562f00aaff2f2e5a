"""All checks over a compiled rule, in the order in which their messages make sense.

Neighbours: `names`, `conform`, `safety`, `safety_many` and `fields` do the work; `load` calls it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from engine.ruleset.catalog import Catalog
from engine.ruleset.closure import Closure
from engine.ruleset.compile_rule import Draft
from engine.ruleset.conform import Typing
from engine.ruleset.errors import Report
from engine.ruleset.fields import paths_of, remembered, with_fields
from engine.ruleset.model import Rule
from engine.ruleset.names import Names, check_cycles, check_order
from engine.ruleset.root_types import RootTypes
from engine.ruleset.safety import check_absorbing, check_evidence, check_hazard, check_made, check_once_key
from engine.ruleset.safety_many import check_lanes, check_prune_source, check_unused
from engine.ruleset.units import Unit


def check_rule(draft: Draft, catalog: Catalog, report: Report) -> Rule:
    """Reports every mistake of names, types and safety; gives the rule with its field trees."""
    units = draft.units
    closure = Closure(units)
    names = Names(units, catalog, report)
    names.check()
    check_order(units, closure, report)
    check_cycles(units, report)
    typing = Typing(RootTypes(units, catalog, draft.schema), names, closure, report)
    for unit in units.values():
        typing.check(unit)
        check_absorbing(unit, closure, report)
        check_hazard(unit, report)
        check_evidence(unit, closure, report)
        check_once_key(unit, closure, report)
        check_made(unit, report)
        check_prune_source(unit, closure, report)
    check_lanes(draft.of("act", "final"), closure, report)
    if not draft.incomplete:
        check_unused(units, frozenset(draft.source.from_parts), report)
    return _with_fields(draft.rule, units)


def _with_fields(rule: Rule, units: dict[str, Unit]) -> Rule:
    paths = paths_of(units)
    finalize = rule.finalize
    if finalize is not None:
        finalize = replace(finalize, observe=with_fields(finalize.observe, paths))
    observe = with_fields(rule.observe, paths)
    return replace(rule, observe=observe, finalize=finalize, remembers=remembered(units))


def check_engine_metrics(units: Sequence[Unit], catalog: Catalog, report: Report) -> None:
    """The same for a file of engine metrics, which has nothing but metrics."""
    by_name = {unit.name: unit for unit in units}
    closure = Closure(by_name)
    names = Names(by_name, catalog, report, engine=True)
    names.check()
    typing = Typing(RootTypes(by_name, catalog, {"type": "object"}), names, closure, report)
    for unit in units:
        typing.check(unit)
