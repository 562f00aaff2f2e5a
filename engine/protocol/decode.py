"""Messages -> values, and of a message only the fields that somebody reads.

The stock conversion to JSON costs 1 ms for a list of services, turns 64-bit numbers into text and drops fields
that are false or 0; this one compiles a converter for each message type and set of fields, once. Never fails: what
a newer Talos adds is ignored. Neighbours: `schema` describes what comes out.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, TypeAlias

from engine.protocol.pool import Descriptor, EnumDescriptor, FieldDescriptor, Message, is_repeated, map_value
from engine.protocol.wellknown import WELL_KNOWN

FieldTree: TypeAlias = "Mapping[str, FieldTree | None]"
"""Field name -> what is read below it; None is everything. `{"messages": {"version": {"tag": None}}}`."""

_Frozen: TypeAlias = "tuple[tuple[str, _Frozen], ...] | None"
_Convert: TypeAlias = Callable[[Any], Any]


def to_value(message: Message, fields: FieldTree | None = None) -> dict[str, Any]:
    """`message` as plain data, limited to `fields`.

    Numbers stay numbers, defaults are present, an enum value is its name (its number as text when unknown), bytes
    are base64 text, a time is RFC 3339, a duration `1.5s`, an address text. A message, a `oneof` member or an
    `optional` field that is not set is None.
    """
    value: dict[str, Any] = _converter(message.DESCRIPTOR, _freeze(fields))(message)
    return value


def _freeze(fields: FieldTree | None) -> _Frozen:
    return None if fields is None else tuple((name, _freeze(below)) for name, below in sorted(fields.items()))


@lru_cache(maxsize=1024)
def _converter(descriptor: Descriptor, fields: _Frozen) -> _Convert:
    known = WELL_KNOWN.get(descriptor.full_name)
    if known is not None:
        return known.read
    wanted = dict(fields) if fields is not None else dict.fromkeys(descriptor.fields_by_name)
    readers = [
        (name, _field(descriptor.fields_by_name[name], below))
        for name, below in wanted.items()
        if name in descriptor.fields_by_name
    ]
    return lambda message: {name: read(message) for name, read in readers}


def _field(field: FieldDescriptor, below: _Frozen) -> _Convert:
    name = field.name
    values = map_value(field)
    if values is not None:
        item = _item(values, None)
        return lambda message: {key: item(value) for key, value in getattr(message, name).items()}
    convert = _item(field, below)
    if is_repeated(field):
        return lambda message: [convert(item) for item in getattr(message, name)]
    if field.has_presence:
        return lambda message: convert(getattr(message, name)) if message.HasField(name) else None
    if convert is _same:
        return lambda message: getattr(message, name)
    return lambda message: convert(getattr(message, name))


def _item(field: FieldDescriptor, below: _Frozen) -> _Convert:
    if field.message_type is not None:
        return _converter(field.message_type, below)
    if field.enum_type is not None:
        return _enum(field.enum_type)
    return _base64 if field.type == FieldDescriptor.TYPE_BYTES else _same


def _enum(descriptor: EnumDescriptor) -> _Convert:
    names = {number: value.name for number, value in descriptor.values_by_number.items()}
    return lambda number: names.get(number) or str(number)


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _same(value: Any) -> Any:
    return value
