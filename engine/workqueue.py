"""Which object is worked on next: unique keys, one at a time each, later or backed off.

A key that is added while it is worked on runs once more afterwards, never beside itself. Delays wait
in a heap; the earlier of two wins. A failure doubles a key's delay, with jitter, until it is
forgotten. Never sleeps but for a waiting `get`. Neighbours: watches and workers add, worker
threads take, an observer is told for the metrics.
"""

from __future__ import annotations

import heapq
import itertools
import random
import threading
import time
from collections.abc import Callable
from typing import Protocol

from engine.base.kinds import Key

_MOST_DOUBLINGS = 30


class QueueObserver(Protocol):
    """Told of what happens in the queue, for metrics. Called with the queue's lock held: be quick."""

    def added(self, key: Key) -> None:
        """A key was added that was not waiting yet."""

    def retried(self, key: Key) -> None:
        """A key was added after a failure."""

    def taken(self, key: Key, waited_s: float) -> None:
        """A worker took a key that had been due for `waited_s`."""

    def finished(self, key: Key, worked_s: float) -> None:
        """A worker gave a key back after `worked_s`."""


class WorkQueue:
    """A queue for many worker threads. `clock` counts seconds and never goes back."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
        observer: QueueObserver | None = None,
    ) -> None:
        """`jitter` gives numbers from 0 to 1."""
        self._clock = clock
        self._jitter = jitter
        self._observer = observer
        self._changed = threading.Condition()
        self._heap: list[tuple[float, int, Key]] = []
        self._due: dict[Key, float] = {}
        self._working: dict[Key, float] = {}
        self._again: dict[Key, float] = {}
        self._failures: dict[Key, int] = {}
        self._order = itertools.count()
        self._shut = False

    def add(self, key: Key, *, delay_s: float = 0.0) -> None:
        """Have the key worked on after a delay, or earlier if that was wanted already."""
        with self._changed:
            if self._shut:
                return
            due = self._clock() + max(0.0, delay_s)
            waiting = self._again if key in self._working else self._due
            if self._observer is not None and key not in waiting:
                self._observer.added(key)
            if due < waiting.get(key, float("inf")):
                waiting[key] = due
                if waiting is self._due:
                    self._push(key, due)

    def get(self, timeout_s: float | None = None) -> Key | None:
        """The next due key, now in this worker's hands; None after `shut_down` or the time-out."""
        end = None if timeout_s is None else self._clock() + timeout_s
        with self._changed:
            while not self._shut:
                now = self._clock()
                key = self._take(now)
                if key is not None:
                    self._working[key] = now
                    return key
                if end is not None and now >= end:
                    return None
                waits = [moment - now for moment in (self._next_due(), end) if moment is not None]
                self._changed.wait(max(0.0, min(waits)) if waits else None)
        return None

    def done(self, key: Key) -> None:
        """Give the key back; it runs again if it was added meanwhile."""
        with self._changed:
            began = self._working.pop(key)
            if self._observer is not None:
                self._observer.finished(key, self._clock() - began)
            due = self._again.pop(key, None)
            if due is not None:
                self._due[key] = due
                self._push(key, due)
            if self._shut:
                self._changed.notify_all()

    def back_off(self, key: Key, *, initial_s: float, max_s: float, least_s: float = 0.0) -> float:
        """Add the key after its next delay, up to `initial_s` doubled with every failure; gives the delay.

        `least_s`: what the other side has asked for; more than `max_s` is not granted.
        """
        with self._changed:
            failures = self._failures.get(key, 0)
            self._failures[key] = failures + 1
            longest = min(max_s, initial_s * 2.0 ** min(failures, _MOST_DOUBLINGS))
            # Never less than half: what failed has to have a moment to become better.
            delay_s = max(longest * (0.5 + 0.5 * self._jitter()), min(least_s, max_s))
            if self._observer is not None:
                self._observer.retried(key)
        self.add(key, delay_s=delay_s)
        return delay_s

    def hasten(self) -> None:
        """Make every waiting key due now: what they wait for may have come to pass unseen."""
        with self._changed:
            now = self._clock()
            for key in [key for key, due in self._due.items() if due > now]:
                self._due[key] = now
                self._push(key, now)
            # A pass that runs has looked before, and may say "in an hour" for it.
            self._again.update(dict.fromkeys(self._working, now))

    def forget(self, key: Key) -> None:
        """The key worked: its next failure starts with the first delay again."""
        with self._changed:
            self._failures.pop(key, None)

    def shut_down(self) -> None:
        """Let every waiting worker go; nothing is taken in or handed out any more."""
        with self._changed:
            self._shut = True
            self._changed.notify_all()

    def drain(self, timeout_s: float) -> bool:
        """After `shut_down`: wait until no worker holds a key; False when time was up before."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._working, timeout_s)

    def depth(self) -> int:
        """How many keys are due and wait for a worker."""
        return len(self.due())

    def due(self) -> list[Key]:
        """The keys that are due and wait for a worker."""
        with self._changed:
            now = self._clock()
            return [key for key, due in self._due.items() if due <= now]

    def is_working(self, key: Key) -> bool:
        """Whether the key is in a worker's hands."""
        with self._changed:
            return key in self._working

    def working(self) -> dict[Key, float]:
        """The keys in workers' hands, and for how many seconds they have been."""
        with self._changed:
            now = self._clock()
            return {key: now - began for key, began in self._working.items()}

    def _push(self, key: Key, due: float) -> None:
        heapq.heappush(self._heap, (due, next(self._order), key))
        self._changed.notify()

    def _take(self, now: float) -> Key | None:
        next_due = self._next_due()
        if next_due is None or next_due > now:
            return None
        due, _, key = heapq.heappop(self._heap)
        del self._due[key]
        if self._observer is not None:
            self._observer.taken(key, now - due)
        return key

    def _next_due(self) -> float | None:
        """When the first key is due; drops entries of the heap that an earlier one has overtaken."""
        while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None
