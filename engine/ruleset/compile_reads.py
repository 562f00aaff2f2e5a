"""`observe:` compiled: what is read, from where, and the type of the answer.

Only what cannot change the world may stand here. Neighbours: `compile_rule` calls it, `fields`
fills in which parts of a Talos reply are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from engine import protocol
from engine.base.yamlnodes import MapNode, Node
from engine.capabilities.contract import Capability
from engine.ruleset.compile_context import TEXT, Compiler, get, position_of, text, texts
from engine.ruleset.errors import suggest
from engine.ruleset.model import CallRead, CosiRead, KubeGet, KubeList, ObserveRule, Source, TalosRead
from engine.ruleset.parts import Named
from engine.ruleset.units import Schema, Unit

DEADLINE_S = 5.0
_NO_ANSWER: Final = frozenset({"unknown", "unreachable", "error"})


def compile_read(compiler: Compiler, named: Named) -> tuple[Unit, ObserveRule | None]:
    """One named read. The rule is None when its source is unusable (reported)."""
    unit = Unit("obs", f"obs.{named.name}", named.key)
    if named.broken or not isinstance(named.node, MapNode):
        return unit, None
    node = named.node
    for_each = compiler.for_each(unit, get(node, "forEach"))
    unit.for_each = for_each is not None
    when = compiler.all_of(unit, get(node, "when"), "when")
    source = _source(compiler, unit, node)
    pick = compiler.use(unit, get(node, "pick"), "pick")
    unit.pick = pick
    if source is None:
        return unit, None
    deadline = compiler.duration(get(node, "deadline"))
    if deadline is None:
        deadline = source.capability.deadline_s if isinstance(source, CallRead) else DEADLINE_S
    return unit, ObserveRule(
        name=named.name,
        position=position_of(named.key),
        source=source,
        when=when,
        pick=pick,
        tolerate=texts(get(node, "tolerate")),
        for_each=for_each,
        deadline_s=deadline,
    )


def _source(compiler: Compiler, unit: Unit, node: MapNode) -> Source | None:
    if "kube" in node.keys:
        return _kube(compiler, unit, node.values["kube"])
    if "talos" in node.keys:
        return _talos(compiler, unit, node)
    if "cosi" in node.keys:
        return _cosi(compiler, unit, node)
    return read_call(compiler, unit, node)


def _kube(compiler: Compiler, unit: Unit, node: Node) -> Source | None:
    single = get(node, "get")
    kind = compiler.kind(single if single is not None else get(node, "list"))
    namespace = compiler.use(unit, get(node, "namespace"), "name", TEXT)
    name = compiler.use(unit, get(node, "name"), "name", TEXT)
    match_node = get(node, "match")
    match = {}
    for path in match_node.keys if isinstance(match_node, MapNode) else ():
        match[path] = compiler.need(unit, match_node.values[path], "name", TEXT)  # type: ignore[union-attr]
    if kind is None:
        return None
    schema = compiler.catalog.object_schema(kind)
    if single is not None and name is not None:
        unit.value_schema = {**schema, "nullable": True}
        return KubeGet(kind=kind, name=name, namespace=namespace)
    unit.value_schema = {"type": "array", "items": schema}
    for path in match:
        _check_path(compiler, match_node.keys[path], schema, path)  # type: ignore[union-attr]
    return KubeList(kind=kind, match=match, namespace=namespace)


def _check_path(compiler: Compiler, node: Node, schema: Schema, path: str) -> None:
    """Every step of a dotted path must be a field; below a free map anything goes."""
    current: Any = schema
    for step in path.split("."):
        fields = current.get("properties", {})
        if step not in fields:
            if fields and not current.get("x-kubernetes-preserve-unknown-fields"):
                compiler.report.add(
                    node, "unknown-field", f"no field `{step}` on the way to `{path}`", suggest(step, fields)
                )
            return
        current = fields[step]


def _talos(compiler: Compiler, unit: Unit, node: MapNode) -> TalosRead | None:
    method = talos_method(compiler, node.values["talos"])
    connect = compiler.connection(unit, get(node, "connect"))
    if method is None:
        compiler.use(unit, get(node, "request"), "request")
        return None
    if method.effect != "read":
        message = f"{method.path} is {method.effect}; `observe` may only read"
        compiler.report.add(node.values["talos"], "write-in-observe", message, "make it a step of `act`")
    schema = protocol.schema_of(method.output)
    unit.value_schema = {"type": "array", "items": schema} if method.server_streaming else schema
    request = compiler.use(
        unit, get(node, "request"), "request", protocol.schema_of(method.input, request=True)
    )
    limit = get(node, "limit")
    return TalosRead(
        method=method.path,
        request=request,
        connect=connect,
        fields=None,
        limit=int(text(limit)) if limit else 1000,
    )


def talos_method(compiler: Compiler, node: Node) -> protocol.Method | None:
    """A Talos method by its path; unknown, streaming and deprecated ones are reported."""
    path, methods = text(node), compiler.catalog.methods
    method = methods.get(path)
    if method is None:
        ending = path.rpartition("/")[2]
        near = [known for known in methods if known.endswith(f"/{ending}")]
        hint = f"did you mean `{near[0]}`?" if near else suggest(path, methods)
        compiler.report.add(node, "unknown-method", f"no Talos method `{path}` is known", hint)
        return None
    compiler.operations.add(path)
    if method.client_streaming:
        compiler.report.add(
            node, "unsupported-method", f"{path} takes a stream; a rule can send one request only"
        )
    if method.deprecated:
        compiler.report.add(node, "deprecated-method", f"{path} is deprecated", f"use {method.deprecated}")
    return method


def _cosi(compiler: Compiler, unit: Unit, node: MapNode) -> CosiRead | None:
    source = node.values["cosi"]
    single = get(source, "get")
    name_node = single if single is not None else get(source, "list")
    connect = compiler.connection(unit, get(node, "connect"))
    wanted = compiler.use(unit, get(source, "id"), "name", TEXT)
    found = cosi_type(compiler, source)
    if found is None:
        return None
    if found.sensitive:
        compiler.report.add(
            name_node or source,
            "sensitive-resource",
            f"{text(name_node)} holds keys; what a rule reads may end up in a status, an event or a metric",
            "use a capability that answers without them, such as `call: talos.config.diff`",
        )
    verb = "Get" if single is not None else "List"
    compiler.operations.add(f"cosi.resource.State/{verb}")
    one = cosi_schema(found)
    unit.value_schema = {**one, "nullable": True} if single is not None else {"type": "array", "items": one}
    return CosiRead(
        verb="get" if single is not None else "list",
        type=text(name_node),
        id=wanted,
        connect=connect,
        fields=None,
    )


def cosi_type(compiler: Compiler, source: Node) -> protocol.CosiType | None:
    """The type that `{get, id}` or `{list}` names; unknown ones, and a missing id, are reported."""
    single = get(source, "get")
    node = single if single is not None else get(source, "list")
    found = compiler.catalog.cosi_types.get(text(node))
    if found is None and node is not None:
        hint = suggest(text(node), compiler.catalog.cosi_types)
        compiler.report.add(node, "unknown-resource", f"no Talos resource `{text(node)}` is known", hint)
    if found is not None and single is not None and not found.default_id and get(source, "id") is None:
        compiler.report.add(source, "missing-key", f"`id` is missing: {text(node)} has no id of its own")
    return found


def cosi_schema(found: protocol.CosiType) -> Schema:
    """The type of one resource: {metadata, spec}."""
    spec = protocol.schema_of(protocol.message_class(found.message).DESCRIPTOR)
    metadata = protocol.schema_of(protocol.message_class("cosi.resource.Metadata").DESCRIPTOR)
    return {
        "type": "object",
        "properties": {"metadata": metadata, "spec": spec},
        "required": ["metadata", "spec"],
    }


def read_call(compiler: Compiler, unit: Unit, node: MapNode) -> CallRead | None:
    """`call:` of a capability that reads or computes."""
    capability = compiler.capability(node.values["call"])
    if capability is None:
        compiler.use(unit, get(node, "with"), "with", opaque=True)
        return None
    if capability.effect not in ("pure", "read"):
        message = f"{capability.name} is {capability.effect}; `observe` may only read"
        compiler.report.add(node.values["call"], "write-in-observe", message, "make it a step of `act`")
    if capability.random:
        message = f"{capability.name} gives something new each time; it may stand in `make` only"
        compiler.report.add(
            node.values["call"],
            "random-outside-make",
            message,
            "use it as `make:` of the step that stores it",
        )
    report_no_answer_words(compiler, node.values["call"], capability)
    given = get(node, "with")
    form = compiler.need(unit, given, "with", capability.input, opaque=True)
    if given is None:
        report_missing_input(compiler, node, capability.input)
    unit.value_schema = capability.output
    return CallRead(capability=capability, input=form)


def report_no_answer_words(compiler: Compiler, node: Node, capability: Capability) -> None:
    """No answer is an error of the read: a word for it would be taken for an answer."""
    for word in sorted(_words(capability.output) & _NO_ANSWER):
        message = f"{capability.name} gives `{word}` as a value; silence must be an error instead"
        compiler.report.add(node, "no-answer-value", message, "mend the capability: raise a RemoteError")


def _words(schema: Any) -> set[str]:
    """Every word of every enumeration in a schema."""
    if isinstance(schema, list):
        return set().union(*(_words(item) for item in schema))
    if not isinstance(schema, Mapping):
        return set()
    own = {str(word) for word in schema.get("enum") or ()}
    return own.union(*(_words(value) for key, value in schema.items() if key != "enum"))


def report_missing_input(compiler: Compiler, node: MapNode, schema: Schema) -> None:
    """A call without `with` is right only when nothing is required."""
    required = schema.get("required", ())
    if required:
        compiler.report.add(
            node.values["call"], "missing-key", f"`with` is missing: it needs {', '.join(required)}"
        )
