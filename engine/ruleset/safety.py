"""The safety rules of the language for single uses: unknowns absorbed, hazards unmarked, memory as proof.

Each rule here was found by making the mistake; DESIGN section 3 has the table. Neighbours: `safety_many`
has the rules that compare steps, `closure` follows lets, `check` runs all of them.
"""

from __future__ import annotations

from typing import Final

from engine.base.yamlnodes import Node
from engine.ruleset.closure import Closure
from engine.ruleset.errors import Report
from engine.ruleset.forms import Compiled, TemplateForm, parts_of
from engine.ruleset.units import Unit

ABSORBING: Final = frozenset({"known", "failed", "error"})
_GUARDED: Final = frozenset(
    {
        "when",
        "gate",
        "with",
        "request",
        "body",
        "name",
        "make",
        "connect",
        "identity",
        "items",
        "test",
        "guard",
        "key",
    }
)
_RANK: Final = {"read": 0, "pure": 0, "write": 1, "disruptive": 2, "irreversible": 3}
_OUTSIDE: Final = frozenset({"obs"})


def check_absorbing(unit: Unit, closure: Closure, report: Report) -> None:
    """`known`, `failed` and `error` may not reach what a step does or whether it is done."""
    if unit.sort not in ("act", "final") and unit.name != "finalize.skipWhen":
        return
    for use in unit.uses:
        asked_later = use.role == "until" and unit.step is not None and unit.step.has_once
        if asked_later or (use.role not in _GUARDED and use.role != "until"):
            continue
        for reached in closure.of([use.form]):
            for call in reached.facts.calls:
                if call.name not in ABSORBING:
                    continue
                offset = call.offset if not reached.trail else reached.entry_offset
                where = reached.entry
                report.add(
                    where.node,
                    "absorbs-unknown",
                    f"`{call.name}()` would turn a failed read into a decision of this step{reached.through()}",
                    "let the step block: leave it out, and show the failure in a condition",
                    offset=where.offset + offset,
                )


def check_hazard(unit: Unit, report: Report) -> None:
    """What disrupts must say so; what cannot be undone needs `once`; a gate on it needs a lane."""
    step = unit.step
    if step is None:
        return
    if _RANK[step.effect] >= 2 and _RANK.get(step.hazard, 0) < _RANK[step.effect]:
        what = step.method or "this capability"
        report.add(
            unit.node,
            "hazard-missing",
            f"{what} is {step.effect}, the step does not say so",
            f"add `hazard: {step.effect}`",
        )
    if step.hazard and step.has_gate and not step.has_lane:
        node = step.node.keys.get("gate", unit.node)
        message = "a gate alone lets two objects through at once"
        report.add(node, "gate-without-lane", message, "add a `lane` that everything on this quorum shares")
    if step.hazard == "irreversible" and not step.has_once:
        node = step.node.keys.get("hazard", unit.node)
        report.add(
            node,
            "once-missing",
            "an irreversible step needs `once`, or a crash sends it twice",
            "add `once: {key: ...}`",
        )


def check_evidence(unit: Unit, closure: Closure, report: Report) -> None:
    """An irreversible step needs an observation that says it is needed; memory proves nothing."""
    if unit.step is None or unit.step.hazard != "irreversible":
        return
    guards = [use.form for use in unit.uses if use.role == "when"]
    paths = closure.reads(guards)
    if any(path[0] in _OUTSIDE for path in paths):
        return
    node = unit.step.node.keys.get("when", unit.node)
    memory = sorted({path[0] if path[0] != "self" else "self.status" for path in paths if _is_memory(path)})
    if memory:
        message = f"`{' and '.join(memory)}` is memory, not an observation: lost, it would do this again"
        report.add(node, "memory-guard", message, "add a test that reads `obs`")
    else:
        message = "nothing observed says that this irreversible step is needed"
        report.add(node, "no-evidence", message, "add a `when` that reads `obs`")


def _is_memory(path: tuple[str, ...]) -> bool:
    return path[0] == "sent" or path[:2] == ("self", "status")


def check_once_key(unit: Unit, closure: Closure, report: Report) -> None:
    """The key of `once` must be the same in every pass."""
    for use in unit.uses:
        if use.role != "once":
            continue
        for reached in closure.of([use.form]):
            for ref in reached.facts.refs:
                if ref.path[0] in ("now", "obs", "sent", "act", "cond"):
                    message = f"the key of `once` depends on `{ref.path[0]}`{reached.through()}; it must never change"
                    report.add(
                        reached.entry.node,
                        "once-key",
                        message,
                        "make it of self.metadata.uid",
                        offset=reached.entry.offset,
                    )


def check_made(unit: Unit, report: Report) -> None:
    """`made` exists only while sending: alone in a value of the payload, never in a decision."""
    for use in unit.uses:
        for form in _with_made(use.form):
            path = form[1]
            if unit.made_schema is None:
                report.add(
                    form[0],
                    "made-outside-payload",
                    "`made` is read, but this step has no `make`",
                    "add `make: {call: ...}`",
                )
            elif not use.made:
                report.add(
                    form[0],
                    "made-outside-payload",
                    "`made` exists only in the payload of this step (spec, data, stringData)",
                )
            elif path is None:
                report.add(
                    form[0], "made-outside-payload", "`made` may only stand alone, as `${made.<field>}`"
                )


def _with_made(form: Compiled) -> list[tuple[Node, tuple[str, ...] | None]]:
    found: list[tuple[Node, tuple[str, ...] | None]] = []
    if isinstance(form, TemplateForm):
        sites = [site for site in form.sites if any(ref.path[0] == "made" for ref in site.facts.refs)]
        found += [(form.node, site.facts.path if form.whole else None) for site in sites]
    for part in parts_of(form):
        found += _with_made(part)
    return found
