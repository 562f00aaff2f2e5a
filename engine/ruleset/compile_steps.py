"""`act:` and `finalize.steps:` compiled: what a step changes, when, and how carefully.

Neighbours: `compile_nouns` compiles `children` and `rollout`, `safety` judges the facts that are
noted here, `compile_rule` puts the steps in order.
"""

from __future__ import annotations

from typing import Literal

from engine import protocol
from engine.base.kinds import Kind
from engine.base.yamlnodes import MapNode, Node, ScalarNode
from engine.capabilities.contract import Effect
from engine.ruleset.compile_context import (
    BOOLEAN,
    TEXT,
    TEXT_MAP,
    Compiler,
    get,
    position_of,
    property_schema,
    text,
    texts,
)
from engine.ruleset.compile_nouns import compile_children, compile_rollout
from engine.ruleset.compile_reads import read_call, report_missing_input, talos_method
from engine.ruleset.errors import suggest
from engine.ruleset.forms import Compiled
from engine.ruleset.model import CallRead, CallStep, EventReasons, KubeStep, Once, Step, StepBody, TalosStep
from engine.ruleset.parts import Named
from engine.ruleset.units import Schema, StepFacts, Unit, UnitSort, act_schema

_VERBS = ("apply", "create", "patch", "delete")
_NO_JOB = ("forEach", "once", "lane", "record", "make", "alreadyDone")
_BODY = ("spec", "data", "stringData", "type")


def compile_step(compiler: Compiler, named: Named, sort: UnitSort) -> tuple[Unit, Step | None]:
    """One step; `sort` says whether it belongs to `act` or to `finalize`. None when it is unusable."""
    unit = Unit(sort, f"act.{named.name}", named.key, value_schema=act_schema({}))
    if named.broken or not isinstance(named.node, MapNode):
        unit.value_schema = None
        return unit, None
    node = named.node
    for_each = compiler.for_each(unit, get(node, "forEach"))
    when = compiler.tests(unit, get(node, "when"), "when")
    once = _once(compiler, unit, get(node, "once"))
    made = _make(compiler, unit, get(node, "make"))
    gate = compiler.use(unit, get(node, "gate"), "gate", BOOLEAN)
    lane = compiler.use(unit, get(node, "lane"), "text", TEXT, once=True)
    until = compiler.use(unit, get(node, "until"), "until", BOOLEAN, once=True)
    why = compiler.use(unit, get(node, "why"), "text", TEXT, once=True)
    record = compiler.use(unit, get(node, "record"), "value", once=True)
    body, effect, method = _body(compiler, unit, node)
    job = _job(compiler, node, body, sort)
    unit.step = StepFacts(
        node=node,
        effect=effect,
        method=method,
        has_gate=gate is not None
        or get(_noun(node), "gate") is not None
        or get(get(_noun(node), "prune"), "gate") is not None,
        has_lane=lane is not None
        or get(_noun(node), "lane") is not None
        or get(get(_noun(node), "prune"), "lane") is not None,
        has_once=once is not None,
        hazard=text(get(node, "hazard")),
        job=job,
    )
    if body is None:
        return unit, None
    return unit, Step(
        id=named.name,
        position=position_of(named.key),
        body=body,
        when=when,
        why=why,
        event=_event(get(node, "event")),
        make=made,
        for_each=for_each,
        once=once,
        lane=lane,
        gate=gate,
        hazard=_hazard(get(node, "hazard")),
        record=record,
        until=until,
        deadline_s=compiler.duration(get(node, "deadline")),
        already_done=texts(get(node, "alreadyDone")),
        job=job is not None,
    )


def _job(compiler: Compiler, node: MapNode, body: StepBody | None, sort: UnitSort) -> Schema | None:
    """What the job of this step gives; None when it is no job. A capability is a job or is none, always."""
    asked = get(node, "job")
    wanted = isinstance(asked, ScalarNode) and asked.value is True
    capability = body.capability if isinstance(body, CallStep) else None
    works = capability is not None and capability.work is not None
    if wanted and not works:
        compiler.report.add(
            asked or node, "not-a-job", "only a `call` of a capability that takes long can be a job"
        )
    elif works and not wanted and capability is not None:
        message = f"{capability.name} takes long and may not hold up a pass"
        compiler.report.add(node.values["call"], "job-missing", message, "add `job: true`")
    if not wanted:
        return None
    for key in _NO_JOB:
        if key in node.keys:
            compiler.report.add(node.keys[key], "not-in-job", f"`{key}` does not go with `job`")
    if sort == "final":
        compiler.report.add(node.keys["job"], "not-in-job", "an end does not wait for jobs")
    return capability.output if capability is not None and works else None


def _noun(node: MapNode) -> Node | None:
    return node.values.get("children") or node.values.get("rollout")


def _hazard(node: Node | None) -> Literal["disruptive", "irreversible"] | None:
    word = text(node)
    return "disruptive" if word == "disruptive" else "irreversible" if word == "irreversible" else None


def _event(node: Node | None) -> EventReasons:
    if isinstance(node, ScalarNode):
        return EventReasons(created=node.text, updated=node.text, failed=None)
    reasons = {key: text(get(node, key)) or None for key in ("created", "updated", "failed")}
    return EventReasons(**reasons)


def _once(compiler: Compiler, unit: Unit, node: Node | None) -> Once | None:
    if not isinstance(node, MapNode):
        return None
    key = compiler.need(unit, get(node, "key"), "once", TEXT)
    target = compiler.use(unit, get(node, "target"), "connect", TEXT)
    return Once(key=key, target=target)


def _make(compiler: Compiler, unit: Unit, node: Node | None) -> CallRead | None:
    if not isinstance(node, MapNode) or "call" not in node.keys:
        return None
    capability = compiler.capability(node.values["call"])
    if capability is None:
        unit.made_schema = {}
        return None
    if capability.effect not in ("pure", "read"):
        message = f"{capability.name} is {capability.effect}; `make` may only compute or read"
        compiler.report.add(node.values["call"], "write-in-make", message)
    unit.made_schema = capability.output
    form = compiler.need(unit, get(node, "with"), "make", capability.input, opaque=True)
    if "with" not in node.keys:
        report_missing_input(compiler, node, capability.input)
    return CallRead(capability=capability, input=form)


def _body(compiler: Compiler, unit: Unit, node: MapNode) -> tuple[StepBody | None, Effect, str]:
    """The body of a step, what it does to the world, and the Talos method it calls."""
    if "kube" in node.keys:
        return compile_write(compiler, unit, node.values["kube"]), "write", ""
    if "talos" in node.keys:
        return _talos(compiler, unit, node)
    if "call" in node.keys:
        return _call(compiler, unit, node)
    if "children" in node.keys:
        return compile_children(compiler, unit, node.values["children"]), "write", ""
    return compile_rollout(compiler, unit, node.values["rollout"], compile_write), "write", ""


def _talos(compiler: Compiler, unit: Unit, node: MapNode) -> tuple[StepBody | None, Effect, str]:
    method = talos_method(compiler, node.values["talos"])
    connect = compiler.connection(unit, get(node, "connect"), once=True)
    if method is None:
        compiler.use(unit, get(node, "request"), "request", once=True)
        return None, "write", ""
    schema = protocol.schema_of(method.input, request=True)
    request = compiler.use(unit, get(node, "request"), "request", schema, once=True)
    return TalosStep(method=method.path, request=request, connect=connect), method.effect, method.path


def _call(compiler: Compiler, unit: Unit, node: MapNode) -> tuple[StepBody | None, Effect, str]:
    capability = compiler.capability(node.values["call"])
    if capability is None:
        compiler.use(unit, get(node, "with"), "with", opaque=True, once=True)
        return None, "write", ""
    if capability.effect in ("pure", "read"):
        message = f"{capability.name} changes nothing ({capability.effect}); a step must"
        compiler.report.add(
            node.values["call"], "read-in-act", message, "move it to `observe`, or to `make` of a kube step"
        )
        read_call(compiler, unit, node)
        return None, "write", ""
    given = compiler.need(unit, get(node, "with"), "with", capability.input, opaque=True, once=True)
    if "with" not in node.keys:
        report_missing_input(compiler, node, capability.input)
    return CallStep(capability=capability, input=given), capability.effect, ""


def compile_write(compiler: Compiler, unit: Unit, node: Node) -> KubeStep | None:
    """`kube: {apply|create|patch|delete: Kind, ...}`."""
    verb = next((verb for verb in _VERBS if get(node, verb) is not None), None)
    if verb is None or not isinstance(node, MapNode):
        return None
    kind = compiler.kind(node.values[verb])
    name = compiler.need(unit, get(node, "name"), "name", TEXT, once=True)
    schema = compiler.catalog.object_schema(kind) if kind else {}
    body = {key: _part(compiler, unit, node, key, schema, kind) for key in _BODY if key in node.keys}
    owner = {"type": "string", "enum": ["controller", "plain"]}
    step_parts = {
        "owner": compiler.use(unit, get(node, "owner"), "value", owner),
        "labels": compiler.use(unit, get(node, "labels"), "body", TEXT_MAP, once=True),
        "annotations": compiler.use(unit, get(node, "annotations"), "body", TEXT_MAP, once=True),
        "annotations_at_creation": compiler.use(
            unit, get(node, "annotationsAtCreation"), "body", TEXT_MAP, once=True
        ),
    }
    if kind is None:
        return None
    return KubeStep(verb=verb, kind=kind, name=name, body=body, **step_parts)  # type: ignore[arg-type]


def _part(
    compiler: Compiler, unit: Unit, node: MapNode, key: str, schema: Schema, kind: Kind | None
) -> Compiled:
    """One top-level part of the object; secrets may go into data and stringData of an opaque kind only."""
    expected = property_schema(schema, key)
    if kind is not None and expected is None:
        known = [name for name in _BODY if property_schema(schema, name) is not None]
        compiler.report.add(
            node.keys[key], "unknown-field", f"{kind.name} has no `{key}`", suggest(key, known)
        )
    values = (expected or {}).get("additionalProperties")
    opaque = isinstance(values, dict) and bool(values.get("x-opaque"))
    return compiler.need(
        unit,
        node.values[key],
        "body",
        expected,
        opaque=opaque,
        made=True,
        once=True,
        partial="patch" in node.keys,
    )
