"""What a JSON schema accepts, asked of the types of expressions.

Pure. Neighbour: `conform` reports what is not accepted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.expr import Type
from engine.ruleset.units import Schema


def stranger(found: Type, schema: Schema) -> str:
    """The path of a field that `found` surely may have and `schema` does not know, or ""."""
    if found.kind == "array" and found.items is not None and isinstance(schema.get("items"), Mapping):
        return stranger(found.items, schema["items"])
    known: Mapping[str, Any] = schema.get("properties", {})
    if found.kind != "object" or not known or is_open(schema) or schema.get("additionalProperties"):
        return ""
    for name, inner in found.fields.items():
        if name not in known:
            return name
        deeper = stranger(inner, known[name])
        if deeper:
            return f"{name}.{deeper}"
    return ""


def kinds(schema: Schema) -> set[str]:
    """The JSON types that a schema takes; empty when it takes any."""
    if schema.get("x-opaque"):
        return {"string"}
    if schema.get("x-kubernetes-int-or-string"):
        return {"string", "integer"}
    named = schema.get("type")
    return ({named} if isinstance(named, str) else set(named or ())) - {"null"}


def takes_null(schema: Schema) -> bool:
    """Whether null may be given."""
    named = schema.get("type")
    if bool(schema.get("nullable")) or (isinstance(named, list) and "null" in named) or not kinds(schema):
        return True
    return any(takes_null(item) for item in schema.get("anyOf") or schema.get("oneOf") or ())


def is_open(schema: Schema) -> bool:
    """Whether keys that the schema does not name may stand there."""
    return (
        bool(schema.get("x-kubernetes-preserve-unknown-fields")) or schema.get("additionalProperties") is True
    )


def fits(found: Type, wanted: set[str]) -> bool:
    """Whether a value of type `found` is one of the wanted JSON types."""
    if found.kind in wanted or (found.kind in ("timestamp", "opaque") and "string" in wanted):
        return True
    return found.kind == "integer" and "number" in wanted


def words(wanted: set[str]) -> str:
    """The wanted types in words."""
    names = {
        "object": "a map",
        "array": "a list",
        "string": "text",
        "boolean": "true or false",
        "integer": "a whole number",
        "number": "a number",
    }
    return " or ".join(sorted(names.get(kind, kind) for kind in wanted))
