"""What rules may talk about: kinds and their types, capabilities, Talos methods, flags, events.

Read once from the shipped schemas; the loader checks every name against it. Never contacts anything
and never imports a client library. Neighbours: `load` takes a Catalog, `kinds` adds those of rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from engine import protocol
from engine.base.kinds import Kind
from engine.base.yamlnodes import parse_documents, plain
from engine.capabilities.contract import Capability
from engine.capabilities.registry import all_capabilities
from engine.ruleset.crd import plural_of

Schema = Mapping[str, Any]

_TEXT: Final[Schema] = {"type": "string"}
_NUMBER: Final[Schema] = {"type": "number"}
_TEXTS: Final[Schema] = {"type": "array", "items": {"type": "string"}}
_TEXT_MAP: Final[Schema] = {"type": "object", "additionalProperties": {"type": "string"}, "nullable": True}
_MAYBE_TEXT: Final[Schema] = {"type": "string", "nullable": True}

FLAGS: Final[Mapping[str, Schema]] = {
    "backupDirectory": _MAYBE_TEXT,
    "metaKey": {"type": "boolean"},
    "loopbackOnly": {"type": "boolean"},
}
"""Flags of the operator that expressions may read as `settings.<flag>`."""

_QUEUE: Final[Schema] = {
    "type": "object",
    "properties": {
        "controller": _TEXT,
        "depth": _NUMBER,
        "working": _NUMBER,
        "unfinished": _NUMBER,
        "longest": _NUMBER,
    },
    "required": ["controller", "depth", "working", "unfinished", "longest"],
}
"""One controller's part of the work queue: keys due, keys in work, their seconds in all and the most."""

_WATCH: Final[Schema] = {
    "type": "object",
    "properties": {"group": _TEXT, "resource": _TEXT, "heard": _NUMBER},
    "required": ["group", "resource", "heard"],
}
"""One watched kind: API group ("" for core), plural, and when the API server last told something of it."""

_STREAM: Final[Schema] = {
    "type": "object",
    "properties": {"controller": _TEXT, "wanted": _NUMBER, "open": _NUMBER, "heard": _NUMBER},
    "required": ["controller", "wanted", "open", "heard"],
}
"""What one controller's `on.streams` come to: machines to be connected to, those that are, and when a machine
last told of a change (seconds since 1970, 0 before the first)."""

_ELECTION: Final[Schema] = {
    "type": "object",
    "properties": {"name": _TEXT, "leads": {"type": "boolean"}},
    "required": ["name", "leads"],
}
"""The lease that says who works, and whether this process has it."""

ENGINE_FIELDS: Final[Mapping[str, Schema]] = {
    "controllers": _TEXTS,
    "operations": _TEXTS,
    "workers": _NUMBER,
    "queues": {"type": "array", "items": _QUEUE},
    "watches": {"type": "array", "items": _WATCH},
    "streams": {"type": "array", "items": _STREAM},
    "certificateExpires": {"type": "number", "nullable": True},
    "rulesLoadedAt": {"type": "number", "nullable": True},
    "rulesReloaded": {"type": "boolean"},
    "elections": {"type": "array", "items": _ELECTION},
    "version": _TEXT,
    "python": _TEXT,
    "revision": _TEXT,
}
"""What `engine` holds in rules of kind EngineMetrics; `revision` is of the rules.

Made anew at each scrape: `queues`, `watches`, `streams`, `elections` (none where nobody is elected), and
`certificateExpires`, the end of what the metrics endpoint shows, in seconds since 1970; null when it shows none;
`rulesLoadedAt`, when the rules in use were loaded, and `rulesReloaded`, whether they are what the files say now.
"""

EVENTS: Final[Mapping[str, Mapping[str, Schema]]] = {
    "pass": {"controller": _TEXT, "result": _TEXT, "seconds": _NUMBER, "bug": {"type": "boolean"}},
    "call": {"operation": _TEXT, "result": _TEXT, "code": _TEXT, "seconds": _NUMBER},
    "queue": {"controller": _TEXT, "event": _TEXT, "seconds": _NUMBER},
    "request": {"method": _TEXT, "host": _TEXT, "code": _TEXT, "seconds": _NUMBER},
    "overflow": {"family": _TEXT},
    "certificate": {"result": _TEXT},
    "act": {"result": _TEXT, "seconds": _NUMBER},
}
"""The fields of `event` for each sort of event that a metric may count."""

_OWNER: Final[Schema] = {
    "type": "object",
    "properties": {
        "apiVersion": _TEXT,
        "kind": _TEXT,
        "name": _TEXT,
        "uid": _TEXT,
        "controller": {"type": "boolean", "nullable": True},
        "blockOwnerDeletion": {"type": "boolean", "nullable": True},
    },
    "required": ["apiVersion", "kind", "name", "uid"],
}
METADATA: Final[Schema] = {
    "type": "object",
    "properties": {
        "name": _TEXT,
        "namespace": _TEXT,
        "uid": _TEXT,
        "resourceVersion": _TEXT,
        "generation": {"type": "integer"},
        "creationTimestamp": {"type": "string", "format": "date-time"},
        "deletionTimestamp": {"type": "string", "format": "date-time", "nullable": True},
        "labels": _TEXT_MAP,
        "annotations": _TEXT_MAP,
        "finalizers": {"type": "array", "items": _TEXT, "nullable": True},
        "ownerReferences": {"type": "array", "items": _OWNER, "nullable": True},
        "generateName": _MAYBE_TEXT,
    },
    "required": ["name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp"],
}
"""The metadata of every object, as expressions see it."""


@dataclass(frozen=True, slots=True, eq=False)
class Catalog:
    """Everything a rule may name. `kinds` is by kind name, `schemas` hold the type of whole objects."""

    kinds: Mapping[str, Kind]
    schemas: Mapping[Kind, Schema]
    capabilities: Mapping[str, Capability] = field(default_factory=all_capabilities)
    methods: Mapping[str, protocol.Method] = field(default_factory=protocol.methods)
    cosi_types: Mapping[str, protocol.CosiType] = field(default_factory=protocol.cosi_types)
    flags: Mapping[str, Schema] = field(default_factory=lambda: FLAGS)
    engine: Mapping[str, Schema] = field(default_factory=lambda: ENGINE_FIELDS)
    events: Mapping[str, Mapping[str, Schema]] = field(default_factory=lambda: EVENTS)
    core: frozenset[str] = frozenset()
    """Names of the kinds that Kubernetes itself brings."""

    def with_kind(self, kind: Kind, schema: Schema) -> Catalog:
        """The same with one kind more."""
        kinds, schemas = {**self.kinds, kind.name: kind}, {**self.schemas, kind: schema}
        return replace(self, kinds=kinds, schemas=schemas)

    def object_schema(self, kind: Kind) -> Schema:
        """The type of a whole object of `kind`, metadata included."""
        return self.schemas[kind]


def load_catalog(schema_folder: Path) -> Catalog:
    """The catalog of `schema_folder`: crds/*.yaml and kubernetes.yaml in it.

    Raises YamlProblems or OSError when a shipped schema cannot be read.
    """
    kinds: dict[str, Kind] = {}
    schemas: dict[Kind, Schema] = {}
    core: set[str] = set()
    for path in (*sorted((schema_folder / "crds").glob("*.yaml")), schema_folder / "kubernetes.yaml"):
        for document in parse_documents(path.read_text("utf-8"), path.name, max_bytes=16 * 1024 * 1024):
            for kind, schema in definitions(plain(document)):
                kinds[kind.name], schemas[kind] = kind, schema
                if path.name == "kubernetes.yaml":
                    core.add(kind.name)
    return Catalog(kinds, schemas, core=frozenset(core))


def definitions(document: Any) -> list[tuple[Kind, Schema]]:
    """The kinds of one CustomResourceDefinition (or of a document of the same form)."""
    spec = document.get("spec") if isinstance(document, Mapping) else None
    if not isinstance(spec, Mapping) or "names" not in spec:
        return []
    names = spec["names"]
    found = []
    for version in spec["versions"]:
        kind = Kind(
            group=spec.get("group", ""),
            version=version["name"],
            name=names["kind"],
            plural=names.get("plural") or plural_of(names["kind"]),
            namespaced=spec.get("scope", "Namespaced") == "Namespaced",
        )
        found.append((kind, whole_object(version.get("schema", {}).get("openAPIV3Schema", {}))))
    return found


def whole_object(schema: Schema) -> Schema:
    """An object's schema with what every object has: apiVersion, kind, metadata; spec is always there."""
    properties = {**schema.get("properties", {}), "apiVersion": _TEXT, "kind": _TEXT, "metadata": METADATA}
    required = {*schema.get("required", ()), "apiVersion", "kind", "metadata", *({"spec"} & set(properties))}
    return {**schema, "type": "object", "properties": properties, "required": sorted(required)}
