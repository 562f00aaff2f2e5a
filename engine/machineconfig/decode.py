"""Nodes to typed values, strictly: unknown keys and wrong types are errors that name their path.

A struct becomes a dict that holds what is set: plain fields that are not zero, fields that may be
unset when they are given, lists even when empty. Never merges, never fills defaults.
Neighbours: `model` (types), `encode` (the way back).
"""

from __future__ import annotations

import difflib
from typing import Any

from engine.machineconfig.errors import ConfigError
from engine.machineconfig.model import AnyType, ListType, MapType, PointerType, StructType, Type
from engine.machineconfig.nodes import ListNode, MapNode, Node, Scalar, is_null, to_value
from engine.machineconfig.scalars import ScalarType, wrong_type


def decode(kind: Type, node: Node, path: str = "") -> Any:
    """The typed value of `node`. Raises ConfigError (UnknownKey, WrongType, InvalidValue)."""
    if isinstance(kind, PointerType):
        return decode(kind.target, node, path)
    if isinstance(kind, ScalarType):
        try:
            return kind.read(node)
        except ConfigError as error:
            raise _located(error, path) from None
    if isinstance(kind, StructType):
        return _struct(kind, _mapping(node, path), path)
    if isinstance(kind, ListType):
        return _list(kind, node, path)
    mapping = _mapping(node, path)
    if isinstance(kind, AnyType):
        return to_value(mapping)
    return _map(kind, mapping, path)


def join(path: str, key: str) -> str:
    """`path.key`; a key with a dot or a space stands in quotes."""
    shown = f'"{key}"' if "." in key or " " in key else key
    return f"{path}.{shown}" if path else shown


def _mapping(node: Node, path: str) -> MapNode:
    if is_null(node):
        return MapNode(())
    if not isinstance(node, MapNode):
        raise _located(wrong_type(node, "a mapping"), path)
    return node


def _struct(kind: StructType, node: MapNode, path: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    fields = kind.fields
    for key, item in node.entries:
        name = key.text
        field = fields.get(name)
        if field is None:
            raise _unknown_key(kind, name, join(path, name), key.line)
        if type(item) is Scalar and item.plain and is_null(item):
            continue
        below = field.type
        if type(below) is not ScalarType:
            found[name] = decode(below, item, join(path, name))
            continue
        try:  # most fields are leaves, whose paths are made only for a mistake
            value = below.read(item)
        except ConfigError as error:
            raise _located(error, join(path, name)) from None
        if value != below.zero or below.overwrite == "given":
            found[name] = value
    return found


def _located(error: ConfigError, path: str) -> ConfigError:
    return ConfigError(error.reason, error.message, path=path, line=error.line)


def _unknown_key(kind: StructType, key: str, path: str, line: int) -> ConfigError:
    near = difflib.get_close_matches(key, list(kind.fields), n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return ConfigError("UnknownKey", f"unknown key{hint}", path=path, line=line)


def _list(kind: ListType, node: Node, path: str) -> list[Any]:
    if not isinstance(node, ListNode):
        raise _located(wrong_type(node, "a list"), path)
    return [
        decode(kind.item, item, f"{path}[{index}]")
        for index, item in enumerate(node.items)
        if not is_null(item)
    ]


def _map(kind: MapType, node: MapNode, path: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, item in node.entries:
        if not is_null(item):
            found[key.text] = decode(kind.item, item, join(path, key.text))
        elif isinstance(kind.item, ScalarType):
            found[key.text] = kind.item.zero
        elif isinstance(kind.item, PointerType):
            found[key.text] = None
    return found
