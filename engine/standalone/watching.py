"""Watches: the event log of one kind as a stream, resumable, with bookmarks.

A watcher holds only a revision and reads the log when told that its kind changed; a slow
client costs no memory and gets 410 when the log has moved on. Never blocks a write.
Neighbours: `storage`, `selectors`; `http` writes the lines.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from engine.standalone.conversion import from_stored
from engine.standalone.failures import ApiFailure
from engine.standalone.kinds import Served
from engine.standalone.lists import require_reachable, version_of
from engine.standalone.selectors import Test, selector
from engine.standalone.storage import Change, Store

BOOKMARK_EVERY_S = 30.0
_DEFAULT_TIMEOUT_S = 1800.0
_LAST_BOOKMARK_S = 2.0


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a watch; `type` is ADDED, MODIFIED, DELETED, BOOKMARK or ERROR."""

    type: str
    value: dict[str, Any]


class Bell:
    """Wakes the watchers of a kind; used within one event loop. `lag_s`: how much later they are to tell of a change."""

    def __init__(self) -> None:
        self.lag_s = 0.0
        self._waiting: dict[str, asyncio.Event] = {}

    def ring(self, resource: str) -> None:
        """Something of this kind was stored."""
        event = self._waiting.pop(resource, None)
        if event is not None:
            event.set()

    async def wait(self, resource: str, timeout_s: float) -> None:
        """Return at the next ring or after the timeout."""
        event = self._waiting.setdefault(resource, asyncio.Event())
        try:
            await asyncio.wait_for(event.wait(), timeout_s)
        except TimeoutError:
            return


class Watch:
    """One client's watch. Raises 400 on a bad query; an old version is an ERROR event, as from kube-apiserver."""

    def __init__(
        self, store: Store, bell: Bell, served: Served, namespace: str | None, query: Mapping[str, str]
    ) -> None:
        self._store = store
        self._bell = bell
        self._served = served
        self._namespace = namespace
        self._test: Test | None = selector(
            served, query.get("labelSelector", ""), query.get("fieldSelector", "")
        )
        self._position = version_of(query)
        self._initial = query.get("sendInitialEvents") == "true"
        self._bookmarks = query.get("allowWatchBookmarks") == "true"
        self._timeout_s = float(query.get("timeoutSeconds") or _DEFAULT_TIMEOUT_S)

    async def events(self) -> AsyncIterator[Event]:
        """Events until the timeout; the caller stops it when the client goes."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self._timeout_s
        try:
            require_reachable(self._store, self._position or self._store.revision)
            for event in self._existing():
                yield event
            async for event in self._following(end):
                yield event
        except ApiFailure as failure:
            yield Event("ERROR", failure.body())

    def _existing(self) -> list[Event]:
        if self._position and not self._initial:
            return []
        self._position = self._store.revision
        bodies = self._store.snapshot(self._served.storage, self._namespace, revision=self._position)
        values = (from_stored(self._served, body) for body in bodies)
        found = [Event("ADDED", value) for value in values if self._test is None or self._test(value)]
        if self._initial and self._bookmarks:
            found.append(self._bookmark(ended=True))
        return found

    async def _following(self, end: float) -> AsyncIterator[Event]:
        loop = asyncio.get_running_loop()
        bookmark = _next_bookmark(loop.time(), end)
        while loop.time() < end:
            if self._position < self._store.compacted:
                require_reachable(self._store, self._position)
            current = self._store.revision
            changes = self._store.changes(self._served.storage, self._position)
            if changes and self._bell.lag_s:
                await asyncio.sleep(self._bell.lag_s)
            for change in changes:
                event = self._event(change)
                if event is not None:
                    yield event
                self._position = change.revision
            if changes:
                continue
            self._position = max(self._position, current)
            if bookmark <= loop.time() < end:
                bookmark = _next_bookmark(loop.time(), end)
                if self._bookmarks:
                    yield self._bookmark()
                    continue
            await self._bell.wait(self._served.storage, max(0.0, min(bookmark, end) - loop.time()))

    def _event(self, change: Change) -> Event | None:
        if self._namespace is not None and change.namespace != self._namespace:
            return None
        value = from_stored(self._served, change.body)
        if self._test is None:
            return Event(change.type, value)
        matches = change.type != "DELETED" and self._test(value)
        before = from_stored(self._served, change.previous) if change.previous else None
        matched = before is not None and self._test(before)
        if matches:
            return Event("MODIFIED" if matched else "ADDED", value)
        return Event("DELETED", value) if matched else None

    def _bookmark(self, *, ended: bool = False) -> Event:
        metadata: dict[str, Any] = {"resourceVersion": str(self._position), "creationTimestamp": None}
        if ended:
            metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
        return Event(
            "BOOKMARK",
            {"kind": self._served.kind, "apiVersion": self._served.api_version, "metadata": metadata},
        )


def _next_bookmark(now: float, end: float) -> float:
    last = end - _LAST_BOOKMARK_S
    return min(now + BOOKMARK_EVERY_S, last) if now < last else float("inf")
