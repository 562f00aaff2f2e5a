"""Which object is worked on next: unique keys, one at a time each, later or backed off.

A key that is added while it is worked on runs once more afterwards, never beside itself. Delays wait
in a heap; the earlier of two wins. A failure doubles a key's delay, with full jitter, until it is
forgotten. Neighbours: watches and workers add, worker threads take.
"""

from __future__ import annotations

import heapq
import itertools
import random
import threading
import time
from collections.abc import Callable

from engine.base.kinds import Key


class WorkQueue:
    """A queue for many worker threads. `clock` counts seconds and never goes back."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, jitter: Callable[[], float] = random.random
    ) -> None:
        self._clock = clock
        self._jitter = jitter
        self._changed = threading.Condition()
        self._heap: list[tuple[float, int, Key]] = []
        self._due: dict[Key, float] = {}
        self._working: set[Key] = set()
        self._again: dict[Key, float] = {}
        self._failures: dict[Key, int] = {}
        self._order = itertools.count()
        self._shut = False

    def add(self, key: Key, *, delay_s: float = 0.0) -> None:
        """Have the key worked on after a delay, or earlier if that was wanted already."""
        with self._changed:
            due = self._clock() + max(0.0, delay_s)
            if key in self._working:
                self._again[key] = min(due, self._again.get(key, due))
            elif due < self._due.get(key, float("inf")):
                self._put(key, due)

    def get(self, timeout_s: float | None = None) -> Key | None:
        """The next due key, now in this worker's hands; None after `shut_down` or the time-out."""
        end = None if timeout_s is None else self._clock() + timeout_s
        with self._changed:
            while not self._shut:
                now = self._clock()
                key = self._take(now)
                if key is not None:
                    self._working.add(key)
                    return key
                waits = [moment - now for moment in (self._next_due(), end) if moment is not None]
                if end is not None and now >= end:
                    return None
                self._changed.wait(max(0.0, min(waits)) if waits else None)
        return None

    def done(self, key: Key) -> None:
        """Give the key back; it runs again if it was added meanwhile."""
        with self._changed:
            self._working.discard(key)
            due = self._again.pop(key, None)
            if due is not None:
                self._put(key, due)

    def back_off(self, key: Key, *, initial_s: float, max_s: float) -> None:
        """Add the key after its next delay: up to `initial_s` doubled with every failure."""
        with self._changed:
            failures = self._failures.get(key, 0)
            self._failures[key] = failures + 1
        longest = min(max_s, initial_s * 2 ** min(failures, 30))
        # Full jitter, but never at once: what failed has to have a moment to become better.
        self.add(key, delay_s=longest * (0.5 + 0.5 * self._jitter()))

    def forget(self, key: Key) -> None:
        """The key worked: its next failure starts with the first delay again."""
        with self._changed:
            self._failures.pop(key, None)

    def shut_down(self) -> None:
        """Let every waiting worker go; nothing is handed out any more."""
        with self._changed:
            self._shut = True
            self._changed.notify_all()

    def depth(self) -> int:
        """How many keys are due and wait for a worker."""
        with self._changed:
            now = self._clock()
            return sum(due <= now for due in self._due.values())

    def working(self) -> int:
        """How many keys are in workers' hands."""
        with self._changed:
            return len(self._working)

    def _put(self, key: Key, due: float) -> None:
        self._due[key] = due
        heapq.heappush(self._heap, (due, next(self._order), key))
        self._changed.notify()

    def _take(self, now: float) -> Key | None:
        while self._heap and self._heap[0][0] <= now:
            due, _, key = heapq.heappop(self._heap)
            # An entry that an earlier one has overtaken is still in the heap; it counts no more.
            if self._due.get(key) == due:
                del self._due[key]
                return key
        return None

    def _next_due(self) -> float | None:
        while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None
