"""`metrics:` compiled, of a rule or of the engine itself.

Neighbours: `compile_rule` and `load` call it; `agreement` compares families across rules.
"""

from __future__ import annotations

from collections.abc import Mapping

from engine.base.yamlnodes import ListNode, MapNode, Node, ScalarNode, plain
from engine.ruleset.compile_context import LIST, TEXT, Compiler, get, position_of, text
from engine.ruleset.errors import suggest
from engine.ruleset.forms import Compiled
from engine.ruleset.model_metrics import LivesWith, MetricRule
from engine.ruleset.model_values import ForEach
from engine.ruleset.parts import Named
from engine.ruleset.units import Schema, StepFacts, Unit, ended_event

_NUMBER: Schema = {"type": ["number", "boolean"]}
_LABEL: Schema = {"type": ["string", "number", "boolean"]}
_NAME: Schema = {"type": "string", "nullable": True}
_STARTS: Schema = {"type": ["array", "string"]}


def compile_metric(
    compiler: Compiler, named: Named, steps: Mapping[str, StepFacts | None] | None
) -> tuple[Unit, MetricRule | None]:
    """One metric family. `steps`: those of the rule by id; None in a file of engine metrics."""
    unit = Unit("metric", f"metrics.{named.name}", named.key)
    node = named.node
    if named.broken or not isinstance(node, MapNode):
        return unit, None
    on = get(node, "on")
    _event(compiler, unit, on, steps)
    each = _each(compiler, unit, get(node, "each"))
    labels_node, start_node = get(node, "labels"), get(node, "start")
    labels = _forms(compiler, unit, labels_node, _LABEL)
    start = _forms(compiler, unit, start_node, _STARTS)
    for name in start:
        if name not in labels and isinstance(start_node, MapNode):
            report = compiler.report
            report.add(
                start_node.keys[name],
                "unknown-label",
                f"this metric has no label `{name}`",
                suggest(name, labels),
            )
    kind = text(get(node, "type"))
    return unit, MetricRule(
        name=named.name,
        type=kind,  # type: ignore[arg-type]
        help=text(get(node, "help")),
        position=position_of(named.key),
        labels=labels,
        value=compiler.use(unit, get(node, "value"), "value", _NUMBER),
        each=each,
        on=text(on) or None,
        when=compiler.all_of(unit, get(node, "when"), "test"),
        buckets=_buckets(compiler, get(node, "buckets")),
        start=start,
        aggregate="sum" if get(node, "aggregate") is not None else None,
        lives_with=_lives_with(compiler, unit, get(node, "livesWith")),
        max_series=_whole(get(node, "maxSeries"), 10_000),
    )


def _event(
    compiler: Compiler, unit: Unit, on: Node | None, steps: Mapping[str, StepFacts | None] | None
) -> None:
    if on is None:
        return
    word, _, step = text(on).partition(".")
    if word == "job" and steps is not None:
        _job_event(compiler, unit, on, step, steps)
        return
    unit.event = compiler.catalog.events.get(word, {})
    if steps is None and word == "act":
        compiler.report.add(
            on,
            "unknown-event",
            "the engine has no steps",
            suggest(word, set(compiler.catalog.events) - {"act"}),
        )
    elif steps is not None and word != "act":
        compiler.report.add(
            on, "unknown-event", f"`{word}` is counted in rules/engine.yaml only", "use `act.<id>`"
        )
    elif steps is not None and step not in steps:
        compiler.report.add(on, "unknown-step", f"no step is called `{step}`", suggest(step, steps))


def _job_event(
    compiler: Compiler, unit: Unit, on: Node, rest: str, steps: Mapping[str, StepFacts | None]
) -> None:
    step, _, end = rest.partition(".")
    facts = steps.get(step)
    jobs = [name for name, each in steps.items() if each is not None and each.job is not None]
    if facts is None or facts.job is None:
        compiler.report.add(on, "unknown-step", f"no job is called `{step}`", suggest(step, jobs))
    elif end != "ended":
        compiler.report.add(on, "unknown-event", "a job can only have ended", f"write job.{step}.ended")
    else:
        unit.event = ended_event(facts.job)


def _lives_with(compiler: Compiler, unit: Unit, node: Node | None) -> LivesWith | None:
    if not isinstance(node, MapNode):
        return None
    kind = compiler.kind(node.values["kind"])
    name = compiler.need(unit, get(node, "name"), "value", _NAME)
    return None if kind is None else LivesWith(kind=kind, name=name)


def _each(compiler: Compiler, unit: Unit, node: Node | None) -> ForEach | None:
    if not isinstance(node, MapNode):
        return None
    items = compiler.need(unit, get(node, "in"), "items", LIST, inside=False)
    name = text(get(node, "as"))
    unit.locals[name] = items
    return ForEach(items=items, name=name, key=compiler.need(unit, get(node, "key"), "key", TEXT))


def _forms(compiler: Compiler, unit: Unit, node: Node | None, schema: Schema) -> dict[str, Compiled]:
    if not isinstance(node, MapNode):
        return {}
    return {name: compiler.need(unit, value, "label", schema) for name, value in node.values.items()}


def _buckets(compiler: Compiler, node: Node | None) -> tuple[float, ...]:
    bounds = tuple(float(bound) for bound in plain(node)) if isinstance(node, ListNode) else ()
    if node is not None and list(bounds) != sorted(set(bounds)):
        compiler.report.add(node, "wrong-value", "buckets must ascend")
    return bounds


def _whole(node: Node | None, otherwise: int) -> int:
    return node.value if isinstance(node, ScalarNode) and isinstance(node.value, int) else otherwise
