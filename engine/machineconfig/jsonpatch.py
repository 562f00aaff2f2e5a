"""RFC 6902 operations on one JSON document, with the liberties that Talos's library takes.

`replace` may set a key that is not there, `test` finds null where nothing is, `copy` copies it; lists
count from their end with negative indices. Never changes its input. Raises ConfigError whose path is the
operation's pointer. No neighbours.
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
    value = copy.deepcopy(operation.get("value"))
    if name == "add":
        _insert(document, pointer, value)
    elif name == "replace":
        return _replace(document, pointer, value)
    elif name == "remove":
        _remove(document, pointer)
    elif name == "move":
        _insert(document, pointer, _remove(document, str(operation.get("from", ""))))
    elif name == "copy":
        _insert(document, pointer, copy.deepcopy(_get(document, str(operation.get("from", "")))))
    elif name == "test":
        if not _same(_get(document, pointer), value):
            raise ConfigError("Invalid", "the tested value is another one", path=pointer)
    else:
        raise ConfigError("Invalid", f"unknown JSON operation {name!r}", path=pointer)
    return document


def _keys(pointer: str) -> list[str]:
    if pointer and not pointer.startswith("/"):
        raise ConfigError("Invalid", "a JSON pointer begins with /", path=pointer)
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]


def _parent(document: Any, pointer: str) -> tuple[dict[str, Any] | list[Any], str]:
    """What holds the place that is meant, and the key or index in it."""
    *way, last = _keys(pointer) or [""]
    if not pointer:
        raise _absent(pointer)
    for key in way:
        document = _child(document, key, pointer)
    if not isinstance(document, dict | list):
        raise _absent(pointer)
    return document, last


def _child(document: Any, key: str, pointer: str) -> Any:
    if isinstance(document, dict) and key in document:
        return document[key]
    if isinstance(document, list):
        return document[_index(key, len(document), pointer)]
    raise _absent(pointer)


def _index(key: str, length: int, pointer: str) -> int:
    """The position of a list of that length that `key` means."""
    try:
        number = int(key)
    except ValueError:
        number = length
    if not -length <= number < length:
        raise ConfigError("NotFound", f"the list has no index {key}", path=pointer)
    return number % length


def _get(document: Any, pointer: str) -> Any:
    if not pointer:
        return document
    parent, key = _parent(document, pointer)
    return parent.get(key) if isinstance(parent, dict) else parent[_index(key, len(parent), pointer)]


def _insert(document: Any, pointer: str, value: Any) -> None:
    parent, key = _parent(document, pointer)
    if isinstance(parent, dict):
        parent[key] = value
    else:
        end = len(parent)
        parent.insert(end if key == "-" else _index(key, end + 1, pointer), value)


def _replace(document: Any, pointer: str, value: Any) -> Any:
    if not pointer:
        return value
    parent, key = _parent(document, pointer)
    if isinstance(parent, dict):
        parent[key] = value
    else:
        parent[_index(key, len(parent), pointer)] = value
    return document


def _remove(document: Any, pointer: str) -> Any:
    parent, key = _parent(document, pointer)
    if isinstance(parent, list):
        return parent.pop(_index(key, len(parent), pointer))
    if key not in parent:
        raise _absent(pointer)
    return parent.pop(key)


def _same(value: Any, wanted: Any) -> bool:
    """Equal, and of equal types: 1 is neither true nor 1.0."""
    if type(value) is not type(wanted):
        return isinstance(value, str) and isinstance(wanted, str) and value == wanted
    if isinstance(value, dict):
        return value.keys() == wanted.keys() and all(_same(item, wanted[key]) for key, item in value.items())
    if isinstance(value, list):
        return len(value) == len(wanted) and all(map(_same, value, wanted))
    return bool(value == wanted)


def _absent(pointer: str) -> ConfigError:
    return ConfigError("NotFound", "there is no such place", path=pointer)
