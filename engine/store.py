"""The objects of one kind as they were last seen, in as little memory as can be.

Objects are plain dicts without managedFields, their texts shared; whoever gets one must not change
it. Of kinds that are kept on demand only what somebody wanted, or what is owned by one of ours,
stays. A look-up by the value at a path makes an index of that path the first time. Neighbour:
`watch` fills it.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

from engine.base.fieldtree import texts_at
from engine.base.versions import is_older

Object = Mapping[str, Any]
Name = tuple[str, str]
Change = tuple[Object | None, Object | None]
"""What was there and what is there now; the same object twice: nothing changed."""

_SHARED_TEXT: Final = 48
"""Longer texts are hardly ever equal to another one."""


class Store:
    """One kind's objects by namespace and name. `keeps` says which objects are worth keeping."""

    def __init__(self, keeps: Callable[[Name, Object], bool]) -> None:
        self._keeps = keeps
        self._lock = threading.Lock()
        self._objects: dict[Name, Object] = {}
        self._indexes: dict[str, dict[str, set[Name]]] = {}
        self._asked: dict[Name, str] = {}

    def get(self, name: Name) -> Object | None:
        """One object, or None."""
        return self._objects.get(name)

    def select(self, namespace: str | None, match: Mapping[str, str]) -> list[Object]:
        """Objects of a namespace (None: all) that have these texts at these dotted paths, by name.

        A name between dots may itself hold dots, as labels do; a list on the way matches by any item.
        """
        wanted = dict(match)
        if namespace is not None:
            wanted["metadata.namespace"] = namespace
        with self._lock:
            found = [self._index(path).get(text, frozenset[Name]()) for path, text in wanted.items()]
            fewest, *others = sorted(found, key=len) if found else [self._objects.keys()]
            return [
                self._objects[name]
                for name in sorted(name for name in fewest if all(name in each for each in others))
            ]

    def put(self, raw: dict[str, Any], *, listed: bool = False) -> Change:
        """Take an object in. An older version than the one here counts only if it was `listed`."""
        name = name_of(raw)
        with self._lock:
            self._heard(name, version_of(raw))
            old = self._objects.get(name)
            if not self._keeps(name, raw):
                self._take_out(name)
                return old, None
            if old is not None and not _replaces(version_of(raw), version_of(old), listed=listed):
                return old, old
            new = compact(raw)
            if old is not None:
                self._unindex(name, old)
            # In one step: `get` takes no lock and must never find absent what only changes.
            self._objects[name] = new
            for path, index in self._indexes.items():
                for text in texts_at(new, path):
                    index.setdefault(text, set()).add(name)
        return old, new

    def remove(self, name: Name, version: str = "") -> Object | None:
        """Take out an object that was deleted at `version` ("": whenever); what was there."""
        with self._lock:
            self._heard(name, version)
            old = self._objects.get(name)
            if old is None or (version and is_older(version, version_of(old))):
                return None
            return self._take_out(name)

    def ask(self, name: Name) -> None:
        """Somebody asks the server for this object: note from now on what the watch says of it."""
        with self._lock:
            self._asked[name] = ""

    def answer(self, name: Name, raw: dict[str, Any] | None) -> None:
        """What the server said to who asked, None when nothing; the watch may know better by now."""
        with self._lock:
            heard = self._asked.pop(name, "")
        if raw is not None and (not heard or is_older(heard, version_of(raw))):
            self.put(raw)

    def names(self) -> set[Name]:
        """The names of all objects."""
        with self._lock:
            return set(self._objects)

    def __len__(self) -> int:
        return len(self._objects)

    def _index(self, path: str) -> dict[str, set[Name]]:
        index = self._indexes.get(path)
        if index is None:
            index = self._indexes[path] = {}
            for name, item in self._objects.items():
                for text in texts_at(item, path):
                    index.setdefault(text, set()).add(name)
        return index

    def _heard(self, name: Name, version: str) -> None:
        if name in self._asked:
            self._asked[name] = version

    def _take_out(self, name: Name) -> Object | None:
        old = self._objects.pop(name, None)
        if old is not None:
            self._unindex(name, old)
        return old

    def _unindex(self, name: Name, old: Object) -> None:
        for path, index in self._indexes.items():
            for text in texts_at(old, path):
                index[text].discard(name)
                if not index[text]:
                    del index[text]


def name_of(item: Object) -> Name:
    """Namespace ("" when cluster-wide) and name."""
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]


def version_of(item: Object) -> str:
    """The resource version."""
    return str(item["metadata"]["resourceVersion"])


def compact(raw: dict[str, Any]) -> Object:
    """The object without managedFields, equal short texts shared."""
    metadata = {key: value for key, value in raw["metadata"].items() if key != "managedFields"}
    shared: Object = _shared({**raw, "metadata": metadata})
    return shared


def _replaces(new: str, old: str, *, listed: bool) -> bool:
    return new != old and (listed or not is_older(new, old))


def _shared(value: Any) -> Any:
    if isinstance(value, str):
        return sys.intern(value) if len(value) <= _SHARED_TEXT else value
    if isinstance(value, dict):
        return {sys.intern(key): _shared(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_shared(item) for item in value]
    return value
