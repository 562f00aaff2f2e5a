"""Which tests surely held when a form of a unit is evaluated, so that null checks elsewhere count.

A step's body is made only when all of its `when` hold; a line of `unless` is reached only when the ones
before it did not hold; a child is made only of an item whose key is not null. Neighbours: `compile_rule`
calls it for each unit, `conform` takes the facts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from engine.ruleset.forms import AllForm, Compiled
from engine.ruleset.model import ConditionRule, EventRule
from engine.ruleset.units import Unit, Use

_BEFORE: Final = frozenset({"when", "once"})
"""Roles that are evaluated whether or not the guards hold."""

Outcomes = tuple[tuple[Compiled, bool], ...]


def guard_unit(unit: Unit) -> None:
    """Every use of a read or step is guarded by the unit's `when`; a `when` by the ones before it."""
    before: list[tuple[Compiled, bool]] = []
    whens = [use.form for use in unit.uses if use.role == "when"]
    everything: Outcomes = tuple((form, True) for form in whens)
    guarded: list[Use] = []
    for use in unit.uses:
        if use.role == "when":
            guarded.append(replace(use, guards=tuple(before)))
            before.append((use.form, True))
        elif use.role in _BEFORE or (unit.sort == "final" and use.role == "until"):
            guarded.append(use)
        else:
            guarded.append(replace(use, guards=everything))
    unit.uses[:] = guarded


def guard_condition(unit: Unit, rule: ConditionRule) -> None:
    """The lines of a condition know that those before them did not hold."""
    held: dict[int, Outcomes] = {}
    known: list[tuple[Compiled, bool]] = []
    if rule.when is not None:
        known += _outcomes(rule.when, True)
    for line in rule.unless:
        own = _outcomes(line.when, True)
        held |= {id(form): tuple(known) for form, _ in own}
        held |= {id(form): (*known, *own) for form in (line.reason, line.message)}
        known += _outcomes(line.when, False)
    if rule.is_ is not None:
        held[id(rule.is_)] = tuple(known)
    last = tuple(known) if rule.is_ is None else tuple(known[:1])
    for use in unit.uses:
        held.setdefault(id(use.form), last if use.role == "text" else ())
    unit.uses[:] = [replace(use, guards=held[id(use.form)]) for use in unit.uses]


def guard_event(unit: Unit, rule: EventRule) -> None:
    """The message is made only when the event is told."""
    known = tuple(_outcomes(rule.when, True))
    unit.uses[:] = [replace(use, guards=known) if use.role == "text" else use for use in unit.uses]


def _outcomes(form: object, outcome: bool) -> list[tuple[Compiled, bool]]:
    if isinstance(form, AllForm):
        return [(test, True) for test in form.tests] if outcome else []
    return [(form, outcome)]  # type: ignore[list-item]  # forms of the model are ours


def guard_metric(unit: Unit, whens: Sequence[Compiled]) -> None:
    """A series exists only while the metric's `when` holds."""
    guards = tuple((form, True) for form in whens)
    unit.uses[:] = [use if use.form in whens else replace(use, guards=guards) for use in unit.uses]
