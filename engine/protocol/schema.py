"""Message types -> JSON schemas, so that rules can be checked before any machine is asked.

Describes exactly what `decode` gives. Pure. Neighbours: `ruleset` turns the schemas into types.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from engine.protocol.pool import Descriptor, FieldDescriptor, is_repeated, map_value
from engine.protocol.wellknown import WELL_KNOWN

_INTEGER: Final = {"type": "integer"}
_SCALARS: Final = {
    FieldDescriptor.CPPTYPE_INT32: _INTEGER,
    FieldDescriptor.CPPTYPE_INT64: _INTEGER,
    FieldDescriptor.CPPTYPE_UINT32: _INTEGER,
    FieldDescriptor.CPPTYPE_UINT64: _INTEGER,
    FieldDescriptor.CPPTYPE_DOUBLE: {"type": "number"},
    FieldDescriptor.CPPTYPE_FLOAT: {"type": "number"},
    FieldDescriptor.CPPTYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.CPPTYPE_STRING: {"type": "string"},
}


@cache
def schema_of(descriptor: Descriptor, *, request: bool = False) -> dict[str, Any]:
    """The JSON schema of a message as `to_value` gives it, or as `to_message` takes it with `request`.

    In a reply every field is there and a message that was not set is null (`nullable`); in a request none is
    required. The same dictionary is given to all callers: do not change it.
    """
    known = WELL_KNOWN.get(descriptor.full_name)
    if known is not None:
        return dict(known.schema)
    properties = {field.name: _field(field, request=request) for field in descriptor.fields}
    schema: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    if properties and not request:
        schema["required"] = list(properties)
    return schema


def _field(field: FieldDescriptor, *, request: bool) -> dict[str, Any]:
    values = map_value(field)
    if values is not None:
        return {"type": "object", "additionalProperties": _item(values, request=request)}
    item = _item(field, request=request)
    if is_repeated(field):
        return {"type": "array", "items": item}
    return {**item, "nullable": True} if field.has_presence else item


def _item(field: FieldDescriptor, *, request: bool) -> dict[str, Any]:
    if field.message_type is not None:
        return schema_of(field.message_type, request=request)
    if field.enum_type is not None:
        return {"type": "string", "enum": [value.name for value in field.enum_type.values]}
    if field.type == FieldDescriptor.TYPE_BYTES and not request:
        return {"type": "string", "contentEncoding": "base64"}
    return dict(_SCALARS[field.cpp_type])
