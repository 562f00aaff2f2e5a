"""Keep a local copy of every kind that the rules name, and tell of each change.

One thread a kind: list in pages, then watch from that version on, resuming after every end; a
version that is too old means to list again, and what vanished meanwhile is told as gone. Never
writes. Neighbours: `store` holds the objects, `engine` is told, passes read.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from engine.base.errors import Expired, Missing, RemoteError
from engine.base.kinds import Key, Kind
from engine.ports.kube.client import KubeClient
from engine.ports.kube.stream import WatchEvent, WatchStream
from engine.store import Name, Object, Store, name_of

log = logging.getLogger(__name__)

Changed = Callable[[Kind, Object | None, Object | None], None]

_PAGE = 100
_WATCH_S = (300.0, 600.0)
_BACKOFF_S = (0.8, 30.0)
_CALM_S = 120.0
"""A watch that lived this long was well: the next failure starts with the first delay again."""


class Cache:
    """The objects of many kinds. Safe for use by many threads; objects must not be changed."""

    def __init__(
        self, client: KubeClient, kinds: Collection[Kind], *, on_demand: Collection[Kind], owners: Collection[Kind]
    ) -> None:
        self._client = client
        self._on_demand = frozenset(on_demand)
        self._owners = frozenset((kind.api_version, kind.name) for kind in owners)
        self._wanted: set[Key] = set()
        self._stores = {kind: Store(self._keeper(kind)) for kind in kinds}
        self._changed: list[Changed] = []
        self._watches = [_Watch(client, kind, self._stores[kind], self._tell) for kind in sorted(self._stores)]

    def subscribe(self, changed: Changed) -> None:
        """Have `changed(kind, old, new)` called for each change; before `start`."""
        self._changed.append(changed)

    def start(self, timeout_s: float = 60.0) -> None:
        """Start all watches and wait until each has listed once; raises the first failure's error."""
        for watch in self._watches:
            watch.start()
        deadline = time.monotonic() + timeout_s
        for watch in self._watches:
            if not watch.listed.wait(max(0.0, deadline - time.monotonic())):
                cause = watch.failure or RemoteError(f"no list of {watch.kind.plural} within {timeout_s:g} s")
                raise cause

    def synced(self) -> bool:
        """Whether every kind has been listed."""
        return all(watch.listed.is_set() for watch in self._watches)

    def stop(self) -> None:
        """End all watches."""
        for watch in self._watches:
            watch.stop()
        for watch in self._watches:
            watch.join()

    def get(self, key: Key) -> Object | None:
        """One object, or None. The first look at an object kept on demand asks the API server."""
        store = self._stores[key.kind]
        if key.kind in self._on_demand and key not in self._wanted:
            self._wanted.add(key)
            try:
                store.put(self._client.get(key))
            except Missing:
                return None
            except RemoteError:
                self._wanted.discard(key)
                raise
        return store.get((key.namespace, key.name))

    def list(self, kind: Kind, namespace: str | None, match: Mapping[str, str]) -> list[Object]:
        """Objects whose dotted paths equal the given texts, by name; `namespace` None means all."""
        return self._stores[kind].select(namespace, match)

    def _keeper(self, kind: Kind) -> Callable[[Name, Object], bool]:
        if kind not in self._on_demand:
            return lambda name, item: True
        return lambda name, item: Key(kind, *name) in self._wanted or self._is_owned(item)

    def _is_owned(self, item: Object) -> bool:
        references = item["metadata"].get("ownerReferences") or ()
        return any((each["apiVersion"], each["kind"]) in self._owners for each in references)

    def _tell(self, kind: Kind, old: Object | None, new: Object | None) -> None:
        if old is new:
            return
        for changed in self._changed:
            changed(kind, old, new)


class _Watch(threading.Thread):
    """The life of one kind's watch."""

    def __init__(self, client: KubeClient, kind: Kind, store: Store, tell: Changed) -> None:
        super().__init__(name=f"watch-{kind.plural}", daemon=True)
        self.kind = kind
        self.listed = threading.Event()
        self.failure: RemoteError | None = None
        self._client = client
        self._store = store
        self._tell = tell
        self._stopping = threading.Event()
        self._stream: WatchStream | None = None
        self._version = ""

    def run(self) -> None:
        """List and watch until stopped."""
        delay_s = _BACKOFF_S[0]
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                if not self._version:
                    self._list()
                self._follow()
                continue
            except Expired:
                self._version = ""
                continue
            except RemoteError as error:
                self.failure = error
                log.warning("watch of %s: %s", self.kind.plural, error)
            if time.monotonic() - began > _CALM_S:
                delay_s = _BACKOFF_S[0]
            self._stopping.wait(delay_s * (0.5 + random.random()))  # noqa: S311  # no secret hangs on it
            delay_s = min(_BACKOFF_S[1], delay_s * 2)

    def stop(self) -> None:
        """End the watch soon."""
        self._stopping.set()
        stream = self._stream
        if stream is not None:
            stream.close()

    def _list(self) -> None:
        found: dict[Name, dict[str, Any]] = {}
        version = ""
        for page in self._client.list_pages(self.kind, limit=_PAGE):
            if page.first:
                found.clear()
            found.update((name_of(item), item) for item in page.items)
            version = page.resource_version
        gone = self._store.names() - found.keys()
        for item in found.values():
            self._tell(self.kind, *self._store.put(item))
        for name in gone:
            self._tell(self.kind, self._store.remove(name), None)
        self._version = version
        self.listed.set()

    def _follow(self) -> None:
        timeout_s = random.uniform(*_WATCH_S)  # noqa: S311  # so that not all watches end at once
        with self._client.watch(self.kind, resource_version=self._version, timeout_s=timeout_s) as stream:
            self._stream = stream
            for event in stream:
                self._take(event)
                if self._stopping.is_set():
                    return

    def _take(self, event: WatchEvent) -> None:
        if event.type == "DELETED":
            old = self._store.remove(name_of(event.object))
            self._tell(self.kind, old, None)
        elif event.type != "BOOKMARK":
            self._tell(self.kind, *self._store.put(event.object))
        self._version = event.object["metadata"]["resourceVersion"]
