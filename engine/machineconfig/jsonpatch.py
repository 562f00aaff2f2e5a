"""RFC 6902 operations on one JSON document.

Never changes its input. Raises ConfigError whose path is the operation's pointer. No neighbours.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from engine.machineconfig.errors import ConfigError


def apply(document: Any, operations: Iterable[Mapping[str, Any]]) -> Any:
    """The document after all operations, in their order."""
    changed = copy.deepcopy(document)
    for operation in operations:
        changed = _apply(changed, operation)
    return changed


def _apply(document: Any, operation: Mapping[str, Any]) -> Any:
    if not isinstance(operation, Mapping) or not isinstance(operation.get("path"), str):
        raise ConfigError("Invalid", "a JSON operation needs `op` and `path`")
    name, pointer = operation.get("op"), str(operation["path"])
    if name == "add":
        return _put(document, pointer, _value(operation), insert=True)
    if name == "replace":
        _get(document, pointer)
        return _put(document, pointer, _value(operation), insert=False)
    if name == "remove":
        return _remove(document, pointer)
    if name in ("move", "copy"):
        source = str(operation.get("from", ""))
        value = copy.deepcopy(_get(document, source))
        rest = _remove(document, source) if name == "move" else document
        return _put(rest, pointer, value, insert=True)
    if name == "test":
        if _get(document, pointer) != operation.get("value"):
            raise ConfigError("Invalid", "the tested value is another one", path=pointer)
        return document
    raise ConfigError("Invalid", f"unknown JSON operation {name!r}", path=pointer)


def _value(operation: Mapping[str, Any]) -> Any:
    return copy.deepcopy(operation.get("value"))


def _keys(pointer: str) -> list[str]:
    if not pointer:
        return []
    if not pointer.startswith("/"):
        raise ConfigError("Invalid", "a JSON pointer begins with /", path=pointer)
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/")]


def _get(document: Any, pointer: str) -> Any:
    for key in _keys(pointer):
        document = _child(document, key, pointer)
    return document


def _child(document: Any, key: str, pointer: str) -> Any:
    if isinstance(document, dict) and key in document:
        return document[key]
    if isinstance(document, list):
        return document[_index(document, key, pointer, len(document) - 1)]
    raise ConfigError("NotFound", "there is no such place", path=pointer)


def _index(items: list[Any], key: str, pointer: str, highest: int) -> int:
    if key == "-":
        return len(items)
    if not key.isdigit() or int(key) > highest:
        raise ConfigError("NotFound", f"the list has no index {key}", path=pointer)
    return int(key)


def _put(document: Any, pointer: str, value: Any, *, insert: bool) -> Any:
    keys = _keys(pointer)
    if not keys:
        return value
    parent = _parent(document, keys, pointer)
    if isinstance(parent, dict):
        parent[keys[-1]] = value
    elif insert:
        parent.insert(_index(parent, keys[-1], pointer, len(parent)), value)
    else:
        parent[_index(parent, keys[-1], pointer, len(parent) - 1)] = value
    return document


def _remove(document: Any, pointer: str) -> Any:
    keys = _keys(pointer)
    _get(document, pointer)
    parent = _parent(document, keys, pointer)
    del parent[keys[-1] if isinstance(parent, dict) else int(keys[-1])]
    return document


def _parent(document: Any, keys: list[str], pointer: str) -> Any:
    for key in keys[:-1]:
        document = _child(document, key, pointer)
    if not isinstance(document, dict | list):
        raise ConfigError("NotFound", "there is no such place", path=pointer)
    return document
