"""Typed values to plain ones, in the order and with the omissions of Talos (talos-config-rules 13).

Never changes its input. Neighbours: `decode` (the way in), `emit` (values as text).
"""

from __future__ import annotations

from typing import Any

from engine.machineconfig.model import AnyType, Field, ListType, MapType, PointerType, StructType, Type
from engine.machineconfig.natural import natural
from engine.machineconfig.scalars import ScalarType

_ABSENT = object()


def encode(kind: Type, value: Any) -> Any:
    """The value as it is written: dicts in the order of the fields, map keys in natural order."""
    if isinstance(kind, PointerType):
        return None if value is None else encode(kind.target, value)
    if isinstance(kind, StructType):
        return _struct(kind, value)
    if isinstance(kind, ListType):
        return [encode(kind.item, item) for item in value]
    if isinstance(kind, MapType):
        return {key: encode(kind.item, value[key]) for key in sorted(value, key=natural)}
    if isinstance(kind, AnyType):
        return _sorted(value)
    return value


def _struct(kind: StructType, value: dict[str, Any]) -> dict[str, Any]:
    written: dict[str, Any] = {}
    for key, field in kind.fields.items():
        item = value.get(key, _ABSENT)
        if item is _ABSENT:
            if not field.omit_empty:
                written[key] = _zero(field.type)
        elif not (field.omit_empty and is_zero(field, item)):
            written[key] = encode(field.type, item)
    return written


def is_zero(field: Field, value: Any) -> bool:
    """Whether a set value counts as empty; one that may be unset never does once it is set."""
    return not isinstance(field.type, PointerType) and _empty(field.type, value)


def _empty(kind: Type, value: Any) -> bool:
    if isinstance(kind, ScalarType):
        return bool(value == kind.zero)
    if isinstance(kind, StructType):
        return all(key in kind.idle or is_zero(kind.fields[key], item) for key, item in value.items())
    return not value


def _zero(kind: Type) -> Any:
    if isinstance(kind, PointerType):
        return None
    if isinstance(kind, ScalarType):
        return kind.zero
    if isinstance(kind, StructType):
        return _struct(kind, {})
    return [] if isinstance(kind, ListType) else {}


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value, key=natural)}
    if isinstance(value, list):
        return [_sorted(item) for item in value]
    return value
