"""Values -> messages, strictly: a misspelt field is an error that says what was meant.

Never guesses a type and never repeats a value in an error, which may be a secret. Neighbours: `decode` for the
way back, `schema` for the shape, `wellknown` for times and addresses.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Final

from engine.base.values import Opaque
from engine.protocol.errors import MessageError
from engine.protocol.methods import Method
from engine.protocol.pool import (
    Descriptor,
    EnumDescriptor,
    FieldDescriptor,
    Message,
    is_repeated,
    map_value,
    message_class,
)
from engine.protocol.wellknown import WELL_KNOWN

_INTEGERS: Final = frozenset(
    {
        FieldDescriptor.CPPTYPE_INT32,
        FieldDescriptor.CPPTYPE_INT64,
        FieldDescriptor.CPPTYPE_UINT32,
        FieldDescriptor.CPPTYPE_UINT64,
    }
)


def to_message(target: Method | Descriptor, value: Mapping[str, Any]) -> Message:
    """A request for a method, or a message of the given type, filled from `value`.

    A field that is absent or None stays unset. Enums are given by name, bytes as text (UTF-8), Opaque or bytes,
    times, durations and addresses as `to_value` writes them. Raises MessageError naming the field.
    """
    descriptor = target.input if isinstance(target, Method) else target
    return _message(descriptor, value, descriptor.name)


def _message(descriptor: Descriptor, value: Any, path: str) -> Message:
    message = message_class(descriptor.full_name)()
    known = WELL_KNOWN.get(descriptor.full_name)
    if known is not None:
        try:
            known.write(message, value)
        except (ValueError, TypeError, KeyError) as error:
            raise MessageError(f"does not fit {descriptor.full_name}", path, str(error)) from None
        return message
    if not isinstance(value, Mapping):
        raise MessageError(f"expected an object, found {_kind(value)}", path)
    for name, item in value.items():
        field = descriptor.fields_by_name.get(name)
        if field is None:
            hint = _suggest(name, descriptor.fields_by_name)
            raise MessageError(f"no field `{name}` in {descriptor.full_name}", path, hint)
        if item is not None:
            _fill(message, field, item, f"{path}.{name}")
    return message


def _fill(message: Message, field: FieldDescriptor, value: Any, path: str) -> None:
    values = map_value(field)
    if values is not None:
        _fill_map(getattr(message, field.name), values, value, path)
    elif is_repeated(field):
        if not isinstance(value, (list, tuple)):
            raise MessageError(f"expected a list, found {_kind(value)}", path)
        getattr(message, field.name).extend(
            _item(field, item, f"{path}[{n}]") for n, item in enumerate(value)
        )
    elif field.message_type is not None:
        getattr(message, field.name).CopyFrom(_message(field.message_type, value, path))
        # Without this an empty message would count as not set.
        getattr(message, field.name).SetInParent()
    else:
        _assign(message, field, _scalar(field, value, path), path)


def _fill_map(target: Any, values: FieldDescriptor, value: Any, path: str) -> None:
    if not isinstance(value, Mapping):
        raise MessageError(f"expected an object, found {_kind(value)}", path)
    for key, item in value.items():
        converted = _item(values, item, f"{path}.{key}")
        if values.message_type is not None:
            target[str(key)].CopyFrom(converted)
        else:
            target[str(key)] = converted


def _assign(message: Message, field: FieldDescriptor, value: Any, path: str) -> None:
    try:
        setattr(message, field.name, value)
    except (ValueError, TypeError):
        raise MessageError("the number is out of range", path) from None


def _item(field: FieldDescriptor, value: Any, path: str) -> Any:
    if field.message_type is not None:
        return _message(field.message_type, value, path)
    return _scalar(field, value, path)


def _scalar(field: FieldDescriptor, value: Any, path: str) -> Any:
    if isinstance(value, Opaque):
        value = value.reveal()
    if field.enum_type is not None:
        return _enum(field.enum_type, value, path)
    kind = field.cpp_type
    if field.type == FieldDescriptor.TYPE_BYTES:
        fits, wanted = isinstance(value, (str, bytes)), "text or bytes"
        value = value.encode() if isinstance(value, str) else value
    elif kind == FieldDescriptor.CPPTYPE_STRING:
        fits, wanted = isinstance(value, str), "text"
    elif kind == FieldDescriptor.CPPTYPE_BOOL:
        fits, wanted = isinstance(value, bool), "true or false"
    elif kind in _INTEGERS:
        fits, wanted = isinstance(value, int) and not isinstance(value, bool), "a whole number"
    else:
        fits, wanted = isinstance(value, (int, float)) and not isinstance(value, bool), "a number"
    if not fits:
        raise MessageError(f"expected {wanted}, found {_kind(value)}", path)
    return value


def _enum(kind: EnumDescriptor, value: Any, path: str) -> int:
    found = kind.values_by_name.get(value) if isinstance(value, str) else None
    if found is None:
        raise MessageError(
            f"not a value of {kind.full_name}", path, _suggest(str(value), kind.values_by_name)
        )
    return found.number


def _suggest(word: str, known: Mapping[str, Any]) -> str:
    near = get_close_matches(str(word), list(known), n=1)
    if near:
        return f"did you mean `{near[0]}`?"
    return f"it has {', '.join(known)}" if known else "it has none"


def _kind(value: Any) -> str:
    names = {
        dict: "an object",
        list: "a list",
        str: "text",
        bool: "a boolean",
        int: "a number",
        float: "a number",
    }
    return "nothing" if value is None else names.get(type(value), type(value).__name__)
