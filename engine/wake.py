"""Who has to look again when an object changes: itself, its owners, and whoever has read it.

Each pass tells what it read, by name (and which fields of it) or as a list (of all objects or of those that
match); that replaces what its last pass had told. A change of fields that nobody reads wakes nobody: one word in the status of a control
plane would otherwise have every machine of its cluster looked at.
Nobody has to declare watches, and none can be forgotten. Neighbours: `worker` notes, the cache's
changes are looked up here by `engine`.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from itertools import product
from typing import Any

from engine.base.fieldtree import FieldTree, differs, texts_at
from engine.base.kinds import Key, Kind
from engine.base.model import KindMatch

Object = Mapping[str, Any]


def is_status_only(old: Object | None, new: Object | None) -> bool:
    """Whether nothing but the status (and the version that counts every write) differs."""
    if old is None or new is None:
        return False
    same = {**new["metadata"], "resourceVersion": old["metadata"]["resourceVersion"]} == old["metadata"]
    return same and {**new, "metadata": 0, "status": 0} == {**old, "metadata": 0, "status": 0}


class Readers:
    """Knows the readers of every object. `kinds` are those that have a rule."""

    def __init__(self, kinds: frozenset[Kind]) -> None:
        self._kinds = {(kind.group, kind.name): kind for kind in kinds}
        self._lock = threading.Lock()
        self._by_name: dict[Key, dict[Key, FieldTree | None]] = defaultdict(dict)
        self._by_list: dict[KindMatch, set[Key]] = defaultdict(set)
        self._paths: dict[tuple[Kind, str], Counter[tuple[str, ...]]] = defaultdict(Counter)
        self._noted: dict[Key, tuple[Mapping[Key, FieldTree | None], frozenset[KindMatch]]] = {}

    def note(self, reader: Key, names: Mapping[Key, FieldTree | None], lists: Collection[KindMatch]) -> None:
        """What one pass of `reader` read: objects by name, and lists of a kind ("": of all namespaces)."""
        told = (
            dict(names),
            frozenset(each if each.kind.namespaced else replace(each, namespace="") for each in lists),
        )
        with self._lock:
            before = self._noted.get(reader)
            if before == told:
                return
            self._erase(reader)
            self._noted[reader] = told
            for name, fields in told[0].items():
                self._by_name[name][reader] = fields
            for each in told[1]:
                self._by_list[each].add(reader)
                self._paths[each.kind, each.namespace][tuple(path for path, _ in each.match)] += 1

    def forget(self, reader: Key) -> None:
        """The reader is gone."""
        with self._lock:
            self._erase(reader)

    def woken_by(self, kind: Kind, old: Object | None, new: Object | None) -> set[Key]:
        """Every key that a change from `old` to `new` (None: absent) concerns."""
        woken: set[Key] = set()
        for version in (old, new):
            if version is None:
                continue
            metadata = version["metadata"]
            namespace = metadata.get("namespace", "")
            key = Key(kind, namespace, metadata["name"])
            woken.update(self._owners(metadata.get("ownerReferences") or (), namespace))
            if (kind.group, kind.name) in self._kinds:
                woken.add(key)
            with self._lock:
                woken |= _concerned(self._by_name.get(key, {}), old, new)
                for place in {namespace, ""}:
                    woken |= self._of_lists(kind, place, version)
        return woken

    def _of_lists(self, kind: Kind, place: str, version: Object) -> set[Key]:
        """The readers of the lists that have this version of an object in them."""
        found: set[Key] = set()
        for paths in self._paths.get((kind, place), ()):
            for texts in product(*(texts_at(version, path) for path in paths)):
                match = KindMatch(kind, place, tuple(zip(paths, texts, strict=True)))
                found |= self._by_list.get(match, set())
        return found

    def _owners(self, references: Iterable[Mapping[str, Any]], namespace: str) -> Iterable[Key]:
        for reference in references:
            group = reference["apiVersion"].rpartition("/")[0]
            kind = self._kinds.get((group, reference["kind"]))
            if kind is not None:
                yield Key(kind, namespace if kind.namespaced else "", reference["name"])

    def _erase(self, reader: Key) -> None:
        names, lists = self._noted.pop(reader, ({}, frozenset()))
        for name in names:
            self._by_name[name].pop(reader, None)
            if not self._by_name[name]:
                del self._by_name[name]
        for each in lists:
            self._by_list[each].discard(reader)
            if not self._by_list[each]:
                del self._by_list[each]
            paths = self._paths[each.kind, each.namespace]
            paths[tuple(path for path, _ in each.match)] -= 1
            self._paths[each.kind, each.namespace] = +paths
            if not +paths:
                del self._paths[each.kind, each.namespace]


def _concerned(readers: Mapping[Key, FieldTree | None], old: Object | None, new: Object | None) -> set[Key]:
    """Those who read something that differs; coming and going concerns all."""
    if old is None or new is None:
        return set(readers)
    seen: dict[int, bool] = {}  # the readers of one kind share one tree
    found = set()
    for reader, fields in readers.items():
        if id(fields) not in seen:
            seen[id(fields)] = differs(old, new, fields)
        if seen[id(fields)]:
            found.add(reader)
    return found
