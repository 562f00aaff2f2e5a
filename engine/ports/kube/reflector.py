"""Follow one kind for ever: list it, then watch from that version on, whatever happens between.

Figures follow client-go: waits of 0.8 s doubled to 30 s with jitter after failures, the first wait
again after two calm minutes; watches last five to ten minutes so that a silent stream ends. A
version that is too old (410) means to list again. Keeps no objects. Neighbours: `client` lists and
watches, a Sink (in `engine.watch`) takes what is found.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from typing import Any, Final, Protocol

from engine.base.errors import Bug, Expired, OutcomeUnknown, RemoteError
from engine.base.kinds import Kind
from engine.ports.kube.client import KubeClient
from engine.ports.kube.stream import WatchEvent, WatchStream

log = logging.getLogger(__name__)

_WATCH_S: Final = (300.0, 600.0)
_CALM_S: Final = 120.0
_TOO_SHORT_S: Final = 1.0
LONGEST_SILENCE_S: Final = 720.0
"""A reflector that has not turned for this long hangs: a watch and its grace end before."""


class Sink(Protocol):
    """Where the objects of one kind go. All calls come from the reflector's thread, in order."""

    def page(self, items: list[dict[str, Any]], *, first: bool) -> None:
        """A part of a list; with `first`, a list begins (again) with it."""

    def listed(self, version: str) -> None:
        """The list is complete: what was not in it is gone."""

    def event(self, event: WatchEvent) -> None:
        """A change; never a bookmark."""


class Reflector(threading.Thread):
    """One kind's thread."""

    def __init__(
        self,
        client: KubeClient,
        kind: Kind,
        sink: Sink,
        *,
        waits_s: tuple[float, float] = (0.8, 30.0),
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """`waits_s` are the shortest and the longest wait after a failure, before jitter."""
        super().__init__(name=f"watch-{kind.plural}", daemon=True)
        self.kind = kind
        self.synced = threading.Event()
        self.failure: RemoteError | None = None
        """What the last attempt failed with; None since the server answered again."""
        self.turned_at = time.monotonic()
        self.heard_at: float | None = None
        """When the server last told something of the kind, in seconds since 1970: an answered list, a watch
        that it took on, an event, a bookmark."""
        self._client = client
        self._sink = sink
        self._waits_s = waits_s
        self._jitter = jitter
        self._halting = threading.Event()
        self._stream: WatchStream | None = None
        self._version = ""

    def run(self) -> None:
        """List and watch until halted."""
        wait_s = self._waits_s[0]
        while not self._halting.is_set():
            began = self._turn()
            pause_s = self._attempt()
            if self._turn() - began > _CALM_S:
                wait_s = self._waits_s[0]
            if pause_s is None:
                continue
            self._halting.wait(max(pause_s, wait_s * (1 + self._jitter())))
            wait_s = min(self._waits_s[1], wait_s * 2)

    def halt(self) -> None:
        """End soon; `join` waits for it."""
        self._halting.set()
        stream = self._stream
        if stream is not None:
            stream.close()

    def trouble(self) -> str | None:
        """What is wrong with the thread itself, not with the server; None when it turns."""
        if not self.is_alive():
            return f"the watch of {self.kind.plural} has ended"
        silent_s = time.monotonic() - self.turned_at
        return (
            f"the watch of {self.kind.plural} hangs since {silent_s:.0f} s"
            if silent_s > LONGEST_SILENCE_S
            else None
        )

    def _hear(self) -> None:
        self.heard_at = time.time()

    def _turn(self) -> float:
        self.turned_at = time.monotonic()
        return self.turned_at

    def _attempt(self) -> float | None:
        """One list if needed and one watch; how long to wait at least, None to go on at once."""
        is_fresh = not self._version
        try:
            if is_fresh:
                self._list()
            self._follow()
        except Expired as error:
            log.info("watch of %s: listing again: %s", self.kind.plural, error)
            self._version = ""
            return 0.0 if is_fresh else None
        except RemoteError as error:
            if self._halting.is_set():
                return 0.0
            self.failure = error
            log.warning("watch of %s: %s", self.kind.plural, error)
            return error.retry_after_s or 0.0
        except Exception as error:
            # One object that breaks the taking must not end the watch of all others.
            self.failure = Bug(error)
            log.exception("watch of %s: listing again after a bug of ours", self.kind.plural)
            self._version = ""
            return 0.0
        return None

    def _list(self) -> None:
        version = ""
        for page in self._client.list_pages(self.kind):
            self._turn()
            self._hear()
            self._sink.page(page.items, first=page.first)
            version = page.resource_version
        self._sink.listed(version)
        self._version = version
        self.failure = None
        self.synced.set()

    def _follow(self) -> None:
        low_s, high_s = _WATCH_S
        timeout_s = low_s + (high_s - low_s) * self._jitter()
        with self._client.watch(self.kind, resource_version=self._version, timeout_s=timeout_s) as stream:
            self._stream = stream
            if self._halting.is_set():
                return
            began, version = self._turn(), self._version
            self.failure = None
            self._hear()
            for event in stream:
                self._turn()
                self._hear()
                if event.type != "BOOKMARK":
                    self._sink.event(event)
                self._version = event.object["metadata"]["resourceVersion"]
        if version == self._version and self._turn() - began < _TOO_SHORT_S and not self._halting.is_set():
            raise OutcomeUnknown("the server ends watches at once", operation=f"WATCH {self.kind.plural}")
