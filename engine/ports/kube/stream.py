"""Read a watch: lines of JSON that arrive as things change, until the server or we end it.

A watch ends by StopIteration when the server closed it in order, and by an error otherwise:
Expired when its version is too old, Garbled for what cannot be decoded, OutcomeUnknown for
silence and broken connections. Never reconnects. Neighbours: `client` opens it, `engine.watch`
resumes it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self, cast

import requests

from engine.base.errors import Garbled, RemoteError
from engine.ports.kube.failures import SOURCE, failure
from engine.ports.kube.transport import decoded, pieces

_LONGEST_LINE = 16 << 20

EventType = Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
_EVENT_TYPES = frozenset({"ADDED", "MODIFIED", "DELETED", "BOOKMARK"})


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One change. Of a BOOKMARK only `object.metadata.resourceVersion` means anything."""

    type: EventType
    object: dict[str, Any]


class WatchStream(Iterator[WatchEvent]):
    """An open watch. Iterate in one thread; `close` may be called from any, and wakes the reader."""

    def __init__(self, response: requests.Response, operation: str) -> None:
        self._response = response
        self._operation = operation
        self._lines = _lines(response, operation)
        self._closed = threading.Event()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> WatchEvent:
        try:
            return self._event(next(self._lines))
        except (StopIteration, RemoteError):
            ended_by_us = self._closed.is_set()
            self._release()
            if ended_by_us:
                raise StopIteration from None
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._release()

    def close(self) -> None:
        """End the watch: a reader that waits for the next event sees its end at once."""
        self._closed.set()
        # Raises when the reader has released the connection already, which is as good.
        with contextlib.suppress(Exception):
            self._response.raw.shutdown()

    def _release(self) -> None:
        self._closed.set()
        self._response.close()

    def _event(self, line: bytes) -> WatchEvent:
        event = decoded(line, self._operation)
        content = event.get("object") if isinstance(event, dict) else None
        if not isinstance(content, dict):
            raise self._garbled("an event without an object")
        if event.get("type") == "ERROR":
            code = content.get("code")
            raise failure(code if isinstance(code, int) else 500, content, operation=self._operation)
        if event.get("type") not in _EVENT_TYPES:
            raise self._garbled(f"an event of the unknown type {event.get('type')!r}")
        if not isinstance(content.get("metadata"), dict):
            raise self._garbled("an event whose object has no metadata")
        return WatchEvent(cast("EventType", event["type"]), content)

    def _garbled(self, text: str) -> Garbled:
        return Garbled(f"the watch sent {text}", source=SOURCE, operation=self._operation, sent="yes")


def _lines(response: requests.Response, operation: str) -> Iterator[bytes]:
    """The lines of the body as they become complete; a last one without its end is an error."""
    pending: list[bytes] = []
    size = 0
    for piece in pieces(response, operation):
        head, *rest = piece.split(b"\n")
        pending.append(head)
        size += len(head)
        for line in rest:
            complete = b"".join(pending)
            pending, size = [line], len(line)
            if complete.strip():
                yield complete
        if size > _LONGEST_LINE:
            raise Garbled("a line of the watch is too long", source=SOURCE, operation=operation, sent="yes")
    if b"".join(pending).strip():
        raise Garbled("the watch ended inside an event", source=SOURCE, operation=operation, sent="yes")
