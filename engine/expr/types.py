"""What is known about a value before it is there: its kind, fields, items, and whether it may be null.

Made from JSON schemas, CRDs and message descriptors. Where nothing is known the type is `any`, and
checks stay silent. Pure. Neighbour: `infer` computes with them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

TypeKind = Literal[
    "any", "null", "boolean", "integer", "number", "string", "timestamp", "opaque", "array", "object", "expression",
    "omit", "remove",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Type:
    """One type. `values` is the type of fields that are not named; without it and not `open`, there are none."""

    kind: TypeKind
    nullable: bool = False
    fields: Mapping[str, Type] = field(default_factory=dict)
    values: Type | None = None
    open: bool = False
    items: Type | None = None
    enum: frozenset[str] = frozenset()

    def or_null(self) -> Type:
        """The same type, possibly null; of `any` nothing is known anyway."""
        return self if self.nullable or self.kind == "any" else replace(self, nullable=True)

    def not_null(self) -> Type:
        """The same type, surely not null."""
        return replace(self, nullable=False) if self.nullable else self

    def __str__(self) -> str:
        words = {"opaque": "secret", "object": "map", "array": "list"}
        word = words.get(self.kind, self.kind)
        return f"{word} or null" if self.nullable and self.kind not in ("any", "null") else word


ANY: Final = Type("any", nullable=False)
NULL: Final = Type("null", nullable=True)
BOOLEAN: Final = Type("boolean")
INTEGER: Final = Type("integer")
NUMBER: Final = Type("number")
STRING: Final = Type("string")
ARRAY: Final = Type("array", items=ANY)
OBJECT: Final = Type("object", open=True)

_NUMBERS: Final = frozenset({"integer", "number"})


def of_literal(value: object) -> Type:
    """The type of a value as written; of what is inside a list or map nothing is said, but of an empty list: no items."""
    if value is None:
        return NULL
    if isinstance(value, bool):
        return BOOLEAN
    if isinstance(value, str):
        return Type("string", enum=frozenset({value}))
    if isinstance(value, int | float):
        return INTEGER if isinstance(value, int) else NUMBER
    if isinstance(value, list):
        return ARRAY if value else Type("array")
    return OBJECT if isinstance(value, dict) else ANY


def is_numeric(found: Type) -> bool:
    """A number of either kind."""
    return found.kind in _NUMBERS


def holds_secret(found: Type) -> bool:
    """Whether a value of the type is a secret or has one inside."""
    inside = (*found.fields.values(), *(inner for inner in (found.values, found.items) if inner is not None))
    return found.kind == "opaque" or any(holds_secret(inner) for inner in inside)


def joined(first: Type, second: Type) -> Type:
    """The type of a value that is one or the other; what may be a secret counts as one."""
    if first.kind == "null" or second.kind == "null":
        return (second if first.kind == "null" else first).or_null()
    nullable = first.nullable or second.nullable
    if first.kind in ("omit", "remove") or second.kind in ("omit", "remove"):
        other = second if first.kind in ("omit", "remove") else first
        return replace(other, nullable=nullable)
    if "opaque" in (first.kind, second.kind):
        return Type("opaque", nullable=nullable)
    if {first.kind, second.kind} == {"string", "timestamp"}:
        return Type("string", nullable=nullable)
    if first.kind == second.kind and first.fields == second.fields and first.items == second.items:
        return replace(
            first,
            nullable=nullable,
            enum=first.enum | second.enum if first.enum and second.enum else frozenset(),
        )
    if is_numeric(first) and is_numeric(second):
        return Type("number", nullable=nullable)
    if first.kind == second.kind == "array":
        return Type("array", nullable=nullable, items=_joined_items(first.items, second.items))
    if first.kind == second.kind == "object":
        return _joined_maps(first, second, nullable)
    return ANY


def _joined_items(first: Type | None, second: Type | None) -> Type | None:
    """What is in a list that is one or the other; an empty one, as in default(x, `[]`), is a list of whatever the other is of."""
    return second if first is None else first if second is None else joined(first, second)


def _joined_maps(first: Type, second: Type, nullable: bool) -> Type:
    """A map that is one or the other: a field that only one has may be null."""
    fields = {
        name: joined(first.fields[name], second.fields[name])
        if name in first.fields and name in second.fields
        else (first.fields.get(name) or second.fields[name]).or_null()
        for name in (*first.fields, *(other for other in second.fields if other not in first.fields))
    }
    values = first.values or second.values
    return Type("object", nullable, fields, values, open=first.open or second.open)


def type_of_schema(schema: Mapping[str, Any]) -> Type:
    """The type that a JSON schema (draft 2020-12 or OpenAPI v3) describes.

    A property that is not required may be null, unless it has a default: absent and null read alike.
    """
    if schema.get("x-opaque"):
        return Type("opaque", nullable=_nullable(schema))
    if schema.get("x-kubernetes-int-or-string"):
        return ANY
    kinds = schema.get("type")
    names = [kinds] if isinstance(kinds, str) else [item for item in kinds or () if item != "null"]
    if len(names) != 1:
        return _of_alternatives(schema)
    nullable = _nullable(schema)
    name = names[0]
    if name == "string":
        return _string(schema, nullable)
    if name == "array":
        return Type("array", nullable=nullable, items=type_of_schema(schema.get("items") or {}))
    if name == "object":
        return _object(schema, nullable)
    plain: Mapping[str, Type] = {"boolean": BOOLEAN, "integer": INTEGER, "number": NUMBER}
    found = plain.get(name, ANY)
    return found.or_null() if nullable else found


def _nullable(schema: Mapping[str, Any]) -> bool:
    kinds = schema.get("type")
    return bool(schema.get("nullable")) or (isinstance(kinds, list) and "null" in kinds)


def _of_alternatives(schema: Mapping[str, Any]) -> Type:
    choices = [
        item for item in schema.get("anyOf") or schema.get("oneOf") or () if item.get("type") != "null"
    ]
    if len(choices) == 1 and "type" in choices[0]:
        return type_of_schema(choices[0]).or_null()
    return ANY


def _string(schema: Mapping[str, Any], nullable: bool) -> Type:
    if schema.get("format") == "date-time":
        return Type("timestamp", nullable=nullable)
    enum = frozenset(item for item in schema.get("enum") or () if isinstance(item, str))
    return Type("string", nullable=nullable, enum=enum)


def _object(schema: Mapping[str, Any], nullable: bool) -> Type:
    required = frozenset(schema.get("required") or ())
    fields = {}
    for name, inner in (schema.get("properties") or {}).items():
        found = type_of_schema(inner)
        settled = name in required or "default" in inner
        fields[name] = found if settled else found.or_null()
    extra = schema.get("additionalProperties")
    values = type_of_schema(extra) if isinstance(extra, Mapping) else None
    is_open = (
        bool(schema.get("x-kubernetes-preserve-unknown-fields"))
        or extra is True
        or (not fields and values is None)
    )
    return Type("object", nullable=nullable, fields=fields, values=values, open=is_open)
