"""Which object is worked on next: unique keys, one at a time each, news first, later or backed off.

A key that is added while it is worked on runs once more afterwards, never beside itself. Of two delays the earlier
wins. News, what somebody has told of, goes before looks that are merely due; but at most `OVERTAKING` times before a
look has its turn, so that nothing waits for ever. A failure doubles a key's delay, with jitter, until it is
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

OVERTAKING = 3
"""As often may news go before a look that has been due longer."""
_MOST_DOUBLINGS = 30
_NEVER = float("inf")


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
        self._news, self._looks = _Lane(), _Lane()
        self._overtaken = 0
        self._working: dict[Key, float] = {}
        self._again: dict[Key, dict[_Lane, float]] = {}
        self._failures: dict[Key, int] = {}
        self._shut = False

    def add(self, key: Key, *, delay_s: float = 0.0, news: bool = False) -> None:
        """Have the key worked on after a delay, or earlier if that was wanted already.

        `news`: somebody has told that something has changed; otherwise it is merely time to look.
        """
        with self._changed:
            if self._shut:
                return
            due = self._clock() + max(0.0, delay_s)
            if self._observer is not None and not self._is_waiting(key):
                self._observer.added(key)
            self._want(self._news if news else self._looks, key, due)

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
            for lane, due in self._again.pop(key, {}).items():
                self._want(lane, key, due)
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
            # A pass that runs has looked before, and may say "in an hour" for it.
            for key in (*self._waiting(), *self._working):
                self._want(self._looks, key, now)

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
            return [key for key, due in self._waiting().items() if due <= now]

    def is_working(self, key: Key) -> bool:
        """Whether the key is in a worker's hands."""
        with self._changed:
            return key in self._working

    def working(self) -> dict[Key, float]:
        """The keys in workers' hands, and for how many seconds they have been."""
        with self._changed:
            now = self._clock()
            return {key: now - began for key, began in self._working.items()}

    def _waiting(self) -> dict[Key, float]:
        """Every key that no worker holds, and when it is due."""
        soonest = dict(self._looks.due)
        for key, due in self._news.due.items():
            soonest[key] = min(due, soonest.get(key, due))
        return soonest

    def _is_waiting(self, key: Key) -> bool:
        if key in self._working:
            return key in self._again
        return key in self._news.due or key in self._looks.due

    def _want(self, lane: _Lane, key: Key, due: float) -> None:
        if key in self._working:
            again = self._again.setdefault(key, {})
            again[lane] = min(due, again.get(lane, due))
        elif lane.put(key, due):
            self._changed.notify()

    def _take(self, now: float) -> Key | None:
        key = self._choose(now)
        if key is None:
            return None
        due = min(self._news.drop(key, now), self._looks.drop(key, now))
        if self._observer is not None:
            self._observer.taken(key, now - due)
        return key

    def _choose(self, now: float) -> Key | None:
        """News, unless there is none or it is a look's turn."""
        (told, news), (due, look) = self._news.first(), self._looks.first()
        overtakes = due < told <= now
        if told <= now and not (overtakes and self._overtaken == OVERTAKING):
            self._overtaken += overtakes
            return news
        if due <= now:
            self._overtaken = 0
            return look
        return None

    def _next_due(self) -> float | None:
        due = min(self._news.first()[0], self._looks.first()[0])
        return None if due == _NEVER else due


class _Lane:
    """Keys in the order in which they are due; `due` says when, of two moments the earlier."""

    def __init__(self) -> None:
        self.due: dict[Key, float] = {}
        self._heap: list[tuple[float, int, Key]] = []
        self._order = itertools.count()

    def put(self, key: Key, due: float) -> bool:
        """Take the key in; whether it was not here before, or only for later."""
        if due >= self.due.get(key, _NEVER):
            return False
        self.due[key] = due
        heapq.heappush(self._heap, (due, next(self._order), key))
        return True

    def drop(self, key: Key, otherwise: float) -> float:
        """When the key was due, which it is no more."""
        return self.due.pop(key, otherwise)

    def first(self) -> tuple[float, Key | None]:
        """What is due first, and when; drops entries of the heap that an earlier one has overtaken."""
        while self._heap and self.due.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return (self._heap[0][0], self._heap[0][2]) if self._heap else (_NEVER, None)
