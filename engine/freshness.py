"""Know the versions of objects that our own writes have overtaken.

The cache learns of a write a moment after it was made. A pass over what it still shows would decide on
the past: send again what was just sent, write again what is written. Such a pass is put off until the
cache has caught up. Thread-safe. Neighbours: whoever writes to an object under work notes it here,
`worker` asks before each pass.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from typing import Any

from engine.base.kinds import Key, Kind
from engine.base.versions import is_older


class OwnWrites:
    """The overtaken versions of each object of `kinds` since the cache last caught up; others have no passes."""

    def __init__(self, kinds: Collection[Kind]) -> None:
        self._kinds = frozenset(kinds)
        self._lock = threading.Lock()
        self._overtaken: dict[Key, set[str]] = {}
        self._last: dict[Key, str] = {}

    def note(self, key: Key, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        """A write of ours made `after` out of an object that was last seen as `before`."""
        old, new = _version(before), _version(after)
        if old == new or key.kind not in self._kinds:
            return
        with self._lock:
            overtaken = self._overtaken.setdefault(key, set())
            overtaken.add(old)
            last = self._last.get(key)
            # Of two writes, in one pass or of two objects' passes, the later one overtakes the other, whichever is
            # told of first; where that cannot be known neither counts as overtaken: a pass must not wait for ever.
            if last is not None and is_older(new, last):
                overtaken.add(new)
                return
            if last is not None and is_older(last, new):
                overtaken.add(last)
            overtaken.discard(new)
            self._last[key] = new

    def has_overtaken(self, key: Key, seen: Mapping[str, Any]) -> bool:
        """Whether what the cache shows is older than our last write; else forget about it."""
        with self._lock:
            overtaken = self._overtaken.get(key)
            if overtaken is None:
                return False
            if _version(seen) in overtaken:
                return True
            del self._overtaken[key]
            self._last.pop(key, None)
            return False

    def made(self, key: Key, seen: Mapping[str, Any]) -> bool:
        """Whether this version is known to come from a write of ours that the passes have not seen yet."""
        version = _version(seen)
        with self._lock:
            return version == self._last.get(key) or version in self._overtaken.get(key, ())

    def forget(self, key: Key) -> None:
        """The object is gone."""
        with self._lock:
            self._overtaken.pop(key, None)
            self._last.pop(key, None)


def _version(item: Mapping[str, Any]) -> str:
    return str(item["metadata"]["resourceVersion"])
