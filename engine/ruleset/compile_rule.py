"""One merged rule compiled into the model, with the units that the checks will look at.

Neighbours: `parts` gives the Source, the other `compile_*` modules compile the sections, `load`
runs the checks over the result.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.base.kinds import Kind
from engine.base.values import Value
from engine.base.yamlnodes import ListNode, MapNode, Node
from engine.ruleset.compile_context import (
    BOOLEAN,
    DURATION_PATTERN,
    TEXT,
    Compiler,
    get,
    position_of,
    property_schema,
    text,
)
from engine.ruleset.compile_metrics import compile_metric
from engine.ruleset.compile_reads import compile_read
from engine.ruleset.compile_steps import compile_step
from engine.ruleset.compile_streams import compile_streams
from engine.ruleset.errors import suggest
from engine.ruleset.forms import Compiled
from engine.ruleset.guards import guard_condition, guard_event, guard_unit
from engine.ruleset.model import Backoff, ConditionRule, EventRule, Finalize, Rule, Step, Unless
from engine.ruleset.parts import Named, Source
from engine.ruleset.units import Schema, Unit

_MODES: Schema = {"type": "string", "enum": ["act", "dryrun", "nothing"]}
_EVERY: Schema = {"type": ["string", "number"], "pattern": DURATION_PATTERN}
_ENGINE_STATUS = frozenset({"conditions", "observedGeneration", "intents", "sent"})


@dataclass(slots=True, eq=False)
class Draft:
    """A compiled rule that is not yet checked. `units` are all its places, by name."""

    rule: Rule
    source: Source
    schema: Schema
    units: dict[str, Unit] = field(default_factory=dict)
    incomplete: bool = False
    """Whether a part could not be read, so that what it uses is not known."""

    def of(self, *sorts: str) -> list[Unit]:
        """The units of the given sorts, in the order of the rule."""
        return [unit for unit in self.units.values() if unit.sort in sorts]


def compile_rule(compiler: Compiler, source: Source, kind: Kind, crd: Mapping[str, Value] | None) -> Draft:
    """The rule of `source` for `kind`; mistakes are reported on the way."""
    schema = compiler.catalog.object_schema(kind)
    units: dict[str, Unit] = {}
    connect = source.root.values.get("connect")
    compiler.connect_node = connect if isinstance(connect, MapNode) else None
    let = {name: _let(compiler, units, named) for name, named in source.let.items()}
    reads = [compile_read(compiler, named) for named in source.observe.values()]
    steps = [compile_step(compiler, named, "act") for named in source.act.values()]
    conditions = [_condition(compiler, named) for named in source.conditions.values()]
    events = [_event(compiler, named) for named in source.events.values()]
    facts = {
        **dict.fromkeys(source.final_steps),
        **{name: unit.step for name, (unit, _) in zip(source.act, steps, strict=True)},
    }
    metrics = [compile_metric(compiler, named, facts) for named in source.metrics.values()]
    for unit, _ in (*reads, *steps):
        guard_unit(unit)
    for unit, _ in (*reads, *steps, *conditions, *events, *metrics):
        units[unit.name] = unit
    status = _status(compiler, units, source, schema)
    on = source.section("on")
    streams, machine = compile_streams(compiler, units, get(on, "streams"))
    rule = Rule(
        controller=kind.name.lower(),
        kind=kind,
        file=str(source.document.path),
        digest=source.digest,
        where=_single(
            compiler, units, "for.where", get(source.section("for"), "where"), BOOLEAN, self_only=True
        ),
        mode=_single(compiler, units, "mode", source.mode.node if source.mode else None, _MODES),
        every=_single(compiler, units, "on.every", get(on, "every"), _EVERY),
        backoff=_backoff(compiler, get(on, "backoff")),
        serialize=_single(compiler, units, "on.serialize", get(on, "serialize"), TEXT),
        streams=streams,
        connect=machine,
        let=let,
        observe=tuple(read for _, read in reads if read is not None),
        act=tuple(step for _, step in steps if step is not None),
        conditions=tuple(condition for _, condition in conditions if condition is not None),
        events=tuple(event for _, event in events if event is not None),
        status=status,
        metrics=tuple(metric for _, metric in metrics if metric is not None),
        finalize=_finalize(compiler, units, source),
        crd=crd,
    )
    sections = (source.let, source.observe, source.act, source.conditions, source.events, source.status)
    named = [
        item
        for section in (*sections, source.metrics, source.final_observe, source.final_steps)
        for item in section.values()
    ]
    broken = any(file.broken for file in source.files) or any(item.broken for item in named)
    incomplete = compiler.builder.failed or broken or source.is_doubled
    return Draft(rule, source, schema, units, incomplete)


def _let(compiler: Compiler, units: dict[str, Unit], named: Named) -> Compiled:
    unit = Unit("let", f"let.{named.name}", named.key)
    units[unit.name] = unit
    compiler.builder.form(named.node, named.name)
    return compiler.need(unit, named.node, "value")


def _single(
    compiler: Compiler,
    units: dict[str, Unit],
    name: str,
    node: Node | None,
    schema: Schema,
    *,
    self_only: bool = False,
) -> Compiled | None:
    if node is None:
        return None
    unit = units[name] = Unit("rule", name, node, self_only=self_only)
    return compiler.need(unit, node, "test" if schema is BOOLEAN else "value", schema)


def _backoff(compiler: Compiler, node: Node | None) -> Backoff:
    first, last = compiler.duration(get(node, "initial")), compiler.duration(get(node, "max"))
    default = Backoff()
    return Backoff(initial_s=first or default.initial_s, max_s=last or default.max_s)


def _condition(compiler: Compiler, named: Named) -> tuple[Unit, ConditionRule | None]:
    unit = Unit("cond", f"cond.{named.name}", named.key)
    node = named.node
    if named.broken or not isinstance(node, MapNode):
        return unit, None
    lines = get(node, "unless")
    unless = tuple(
        _unless(compiler, unit, line) for line in (lines.items if isinstance(lines, ListNode) else ())
    )
    event = text(get(node, "event"))
    rule = ConditionRule(
        type=named.name,
        position=position_of(named.key),
        when=compiler.all_of(unit, get(node, "when"), "test"),
        unless=unless,
        is_=compiler.use(unit, get(node, "is"), "test", BOOLEAN),
        reason=compiler.use(unit, get(node, "reason"), "text", TEXT),
        message=compiler.use(unit, get(node, "message"), "text", TEXT),
        counts=compiler.use(unit, get(node, "counts"), "test", BOOLEAN),
        event="normal" if event == "normal" else "warning" if event == "warning" else None,
    )
    guard_condition(unit, rule)
    return unit, rule


def _event(compiler: Compiler, named: Named) -> tuple[Unit, EventRule | None]:
    unit = Unit("event", f"event.{named.name}", named.key)
    node = named.node
    if named.broken or not isinstance(node, MapNode):
        return unit, None
    when = compiler.all_of(unit, get(node, "when"), "test")
    sort, mode = text(get(node, "type")), text(get(node, "mode"))
    rule = EventRule(
        reason=named.name,
        position=position_of(named.key),
        when=when if when is not None else compiler.need(unit, None, "test"),
        message=compiler.need(unit, get(node, "message"), "text", TEXT),
        type="warning" if sort == "warning" else "normal",
        mode="dryrun" if mode == "dryrun" else "nothing" if mode == "nothing" else "act",
    )
    guard_event(unit, rule)
    return unit, rule


def _unless(compiler: Compiler, unit: Unit, line: Node) -> Unless:
    when = compiler.all_of(unit, get(line, "when"), "test")
    return Unless(
        when=when if when is not None else compiler.need(unit, None, "test"),
        reason=compiler.need(unit, get(line, "reason"), "text", TEXT),
        message=compiler.use(unit, get(line, "message"), "text", TEXT),
    )


def _status(
    compiler: Compiler, units: dict[str, Unit], source: Source, schema: Schema
) -> dict[str, Compiled]:
    fields = (property_schema(schema, "status") or {}).get("properties", {})
    forms: dict[str, Compiled] = {}
    for name, named in source.status.items():
        if named.broken:
            continue
        unit = units[f"status.{name}"] = Unit("status", f"status.{name}", named.key)
        if name not in fields:
            hint = suggest(name, set(fields) - _ENGINE_STATUS)
            compiler.report.add(named.key, "unknown-field", f"the status has no field `{name}`", hint)
        compiler.builder.form(named.node, name)
        forms[name] = compiler.need(unit, named.node, "status", fields.get(name))
    return forms


def _finalize(compiler: Compiler, units: dict[str, Unit], source: Source) -> Finalize | None:
    node = source.section("finalize")
    if source.finalizer is None:
        if node is not None:
            compiler.report.add(
                node,
                "missing-key",
                "`finalize.name` is missing",
                "name the finalizer",
            )
        return None
    name = _single(compiler, units, "finalize.name", source.finalizer.node, TEXT)
    reads = [compile_read(compiler, named) for named in source.final_observe.values()]
    steps = [compile_step(compiler, named, "final") for named in source.final_steps.values()]
    for unit, _ in reads:
        guard_unit(unit)
        units[unit.name] = unit
    for unit, _ in steps:
        guard_unit(unit)
        unit.name = f"final.{unit.name.partition('.')[2]}"
        units[unit.name] = unit
    skip = get(node, "skipWhen")
    skip_when = None
    if skip is not None:
        unit = units["finalize.skipWhen"] = Unit("rule", "finalize.skipWhen", skip)
        skip_when = compiler.all_of(unit, skip, "guard")
    ordered: tuple[Step, ...] = tuple(step for _, step in steps if step is not None)
    assert name is not None
    return Finalize(
        name=name,
        position=position_of(source.finalizer.key),
        timeout_s=compiler.duration(get(node, "timeout")),
        on_timeout="release" if text(get(node, "onTimeout")) == "release" else "block",
        skip_when=skip_when,
        observe=tuple(read for _, read in reads if read is not None),
        steps=ordered,
    )
