"""The objects of one kind as they were last seen, in as little memory as can be.

Objects are plain dicts without managedFields, their texts interned; whoever gets one must not change
it. Of kinds that are kept on demand only what somebody wanted, or what is owned by one of ours,
stays. Neighbour: `watch` fills it.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

Object = Mapping[str, Any]
Name = tuple[str, str]


class Store:
    """One kind's objects by namespace and name. `keeps` says which objects are worth keeping."""

    def __init__(self, keeps: Callable[[Name, Object], bool]) -> None:
        self._keeps = keeps
        self._lock = threading.Lock()
        self._objects: dict[Name, Object] = {}

    def get(self, name: Name) -> Object | None:
        """One object, or None."""
        return self._objects.get(name)

    def select(self, namespace: str | None, match: Mapping[str, str]) -> list[Object]:
        """Objects of a namespace (None: all) whose dotted paths equal these texts, by name."""
        wanted = [(path.split("."), text) for path, text in match.items()]
        with self._lock:
            found = [
                (name, item)
                for name, item in self._objects.items()
                if (namespace is None or name[0] == namespace)
                and all(_at(item, path) == text for path, text in wanted)
            ]
        return [item for _, item in sorted(found, key=lambda pair: pair[0])]

    def put(self, raw: dict[str, Any]) -> tuple[Object | None, Object | None]:
        """Take an object in; what was there and what is there now."""
        name = name_of(raw)
        with self._lock:
            old = self._objects.get(name)
            if not self._keeps(name, raw):
                self._objects.pop(name, None)
                return old, None
            if old is not None and old["metadata"]["resourceVersion"] == raw["metadata"]["resourceVersion"]:
                return old, old
            new = compact(raw)
            self._objects[name] = new
        return old, new

    def remove(self, name: Name) -> Object | None:
        """Take an object out; what was there."""
        with self._lock:
            return self._objects.pop(name, None)

    def names(self) -> set[Name]:
        """The names of all objects."""
        with self._lock:
            return set(self._objects)

    def __len__(self) -> int:
        return len(self._objects)


def name_of(item: Object) -> Name:
    """Namespace ("" when cluster-wide) and name."""
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]


def compact(raw: dict[str, Any]) -> Object:
    """The object without managedFields, equal texts shared."""
    metadata = {key: value for key, value in raw["metadata"].items() if key != "managedFields"}
    shared: Object = _interned({**raw, "metadata": metadata})
    return shared


def _interned(value: Any) -> Any:
    if isinstance(value, str):
        return sys.intern(value)
    if isinstance(value, dict):
        return {sys.intern(key): _interned(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_interned(item) for item in value]
    return value


def _at(item: Any, path: list[str]) -> Any:
    for name in path:
        item = item.get(name) if isinstance(item, Mapping) else None
    return item
