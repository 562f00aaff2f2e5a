"""Write events beside the passes: a short queue, one thread, nothing that can fail the caller.

Repeats of the same object, type, reason and message bump the count of the event that is there,
also after a restart, because an event's name follows from them. When the queue is full, an object
causes too many, or the server refuses, the event is dropped and counted in `dropped`. Neighbours:
`client` owns one, `events` says what is written.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from engine.base.errors import AlreadyExists, RemoteError
from engine.base.kinds import Key, Kind
from engine.ports.kube.events import EventLimit, EventRecord, first_time, once_more

log = logging.getLogger(__name__)

_EVENTS: Final = Kind("", "v1", "Event", "events")
_WAITING = 1000
_CLOSE_S = 2.0


class EventClient(Protocol):
    """As much of the client as writing events needs."""

    def create(self, kind: Kind, namespace: str, body: Mapping[str, Any]) -> dict[str, Any]: ...

    def get(self, key: Key) -> dict[str, Any]: ...

    def patch(self, key: Key, body: Mapping[str, Any]) -> dict[str, Any]: ...


class EventRecorder:
    """Takes events from any thread; its own thread starts with the first one."""

    def __init__(self, client: EventClient, wall: Callable[[], float] = time.time) -> None:
        self._client = client
        self._wall = wall
        self._limit = EventLimit()
        self._queue: queue.Queue[EventRecord | None] = queue.Queue(_WAITING)
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._abandoned = threading.Event()
        self.dropped = 0

    def emit(self, event: EventRecord) -> None:
        """Take the event, or drop it; never waits and never raises."""
        with self._lock:
            if not self._limit.allows(event.subject, time.monotonic()):
                self.dropped += 1
                return
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="events", daemon=True)
                self._thread.start()
        try:
            self._queue.put_nowait(event)
        except queue.Full:
            self.dropped += 1

    def close(self) -> None:
        """Write what waits, for two seconds at most."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is None:
            return
        deadline = time.monotonic() + _CLOSE_S
        with contextlib.suppress(queue.Full):
            self._queue.put(None, timeout=_CLOSE_S)
        thread.join(max(0.0, deadline - time.monotonic()))
        self._abandoned.set()

    def _run(self) -> None:
        while (event := self._queue.get()) is not None and not self._abandoned.is_set():
            try:
                self._write(event)
            except RemoteError as error:
                self.dropped += 1
                log.debug("the event %s was not written: %s", event.name, error)

    def _write(self, event: EventRecord) -> None:
        now = self._wall()
        try:
            self._client.create(_EVENTS, event.namespace, first_time(event, now))
        except AlreadyExists:
            key = Key(_EVENTS, event.namespace, event.name)
            self._client.patch(key, once_more(self._client.get(key), now))
