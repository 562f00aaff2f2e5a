"""The CustomResourceDefinition of a kind that a rule file introduces with `for.schema`.

Short forms (`integer=2`, `enum(a,b)`, `string[]!`) become OpenAPI; whole OpenAPI schemas pass as
they are. Pure; shape mistakes were reported before. Neighbours: `kinds` registers the result.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from engine.base.kinds import Kind
from engine.base.values import Value

_FIELD: Final = re.compile(
    r"(?P<type>\w+)(\((?P<choices>[^()]+)\))?(?P<list>\[\])?(?P<required>!)?(=(?P<default>.*))?"
)

_CONDITION: Final[Mapping[str, Any]] = {
    "type": "object",
    "required": ["type", "status"],
    "properties": {
        "type": {"type": "string"},
        "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
        "reason": {"type": "string"},
        "message": {"type": "string"},
        "lastTransitionTime": {"type": "string", "format": "date-time"},
        "observedGeneration": {"type": "integer", "format": "int64"},
    },
}
_ENGINE_STATUS: Final[Mapping[str, Any]] = {
    "conditions": {
        "type": "array",
        "items": _CONDITION,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
    },
    "observedGeneration": {"type": "integer", "format": "int64"},
    "intents": {
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["key"],
        "items": {
            "type": "object",
            "required": ["key"],
            "properties": {
                "key": {"type": "string"},
                "target": {"type": "string"},
                "attempt": {"type": "integer", "format": "int32"},
                "at": {"type": "string", "format": "date-time"},
                "done": {"type": "boolean"},
            },
        },
    },
    "sent": {
        "type": "object",
        "additionalProperties": {
            "type": "object",
            "properties": {"key": {"type": "string"}, "at": {"type": "string", "format": "date-time"}},
        },
    },
}


def plural_of(name: str) -> str:
    """The plural of a kind in lower case, as URLs use it."""
    lower = name.lower()
    if lower.endswith("y") and lower[-2:-1] not in "aeiou":
        return lower[:-1] + "ies"
    return lower + ("es" if lower.endswith(("s", "x", "ch", "sh")) else "s")


def make_crd(kind: Kind, schema: Mapping[str, Value]) -> dict[str, Value]:
    """The definition of `kind` with the fields of `schema` ({spec, status})."""
    spec = _object(schema.get("spec") or {})
    status = _object(schema.get("status") or {})
    status["properties"] = {**status["properties"], **_ENGINE_STATUS}
    root = {
        "type": "object",
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": status,
        },
    }
    version = {
        "name": kind.version,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [
            {"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type=='Ready')].status"},
            {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
        ],
        "schema": {"openAPIV3Schema": root},
    }
    names = {
        "kind": kind.name,
        "listKind": f"{kind.name}List",
        "plural": kind.plural,
        "singular": kind.name.lower(),
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{kind.group}"},
        "spec": {"group": kind.group, "names": names, "scope": "Namespaced", "versions": [version]},
    }


def _object(fields: Mapping[str, Value]) -> dict[str, Any]:
    required = [
        name for name, field in fields.items() if isinstance(field, str) and _match(field)["required"]
    ]
    result: dict[str, Any] = {
        "type": "object",
        "properties": {name: _field(field) for name, field in fields.items()},
    }
    return {**result, "required": required} if required else result


def _match(field: str) -> Mapping[str, str | None]:
    found = _FIELD.fullmatch(field)
    return (
        found.groupdict()
        if found
        else {"type": "string", "choices": None, "list": None, "required": None, "default": None}
    )


def _field(field: Value) -> dict[str, Any]:
    if not isinstance(field, str):
        return dict(field)
    parts = _match(field)
    schema: dict[str, Any] = {"type": parts["type"]}
    if parts["choices"] is not None:
        schema = {"type": "string", "enum": [choice.strip() for choice in parts["choices"].split(",")]}
    if parts["default"] is not None and not parts["list"]:
        schema["default"] = _default(str(schema["type"]), parts["default"])
    return {"type": "array", "items": schema} if parts["list"] else schema


def _default(kind: str, text: str) -> Value:
    if kind == "boolean":
        return text == "true"
    if kind == "integer" and re.fullmatch(r"-?\d+", text):
        return int(text)
    if kind == "number" and re.fullmatch(r"-?\d+(\.\d+)?", text):
        return float(text)
    return text
