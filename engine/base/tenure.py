"""Until when this process may change anything outside, and what it is changing at the moment.

Whoever leads extends a tenure with each renewal of its lease; the ports ask it before each effect, so a process that
was paused for longer than that wakes up and sends nothing. Counts on the clock that goes on while the machine sleeps
(CLOCK_BOOTTIME, clock_gettime(2)). A check cannot fence what is on its way already: that is what the deadline of each
effect is for. Neighbours: `leader` extends it, `ports` ask, `engine` waits until nothing is under way.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self

from engine.base.errors import LeadershipLost

Clock = Callable[[], float]


def boot_time() -> float:
    """Seconds since the machine was started, those included in which it slept."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Tenure:
    """Begins when it is extended for the first time. Safe for use by many threads."""

    def __init__(self, clock: Clock = boot_time) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._begin_by = self._end_by = -math.inf
        self._is_over = False
        self._under_way = 0

    @classmethod
    def unlimited(cls) -> Self:
        """That of an engine which shares its work with nobody."""
        tenure = cls()
        tenure.extend(begin_by=math.inf, end_by=math.inf)
        return tenure

    @property
    def begin_by(self) -> float:
        """Until when, by the clock, an effect may begin."""
        return self._begin_by

    def extend(self, *, begin_by: float, end_by: float) -> None:
        """Effects may begin before the one moment of the clock and must have ended by the other."""
        with self._changed:
            self._begin_by, self._end_by = begin_by, end_by

    def end(self) -> None:
        """No effect begins any more, whatever comes."""
        with self._changed:
            self._is_over = True

    def check(self, operation: str) -> float:
        """For how many seconds an effect that begins now may last; raises LeadershipLost."""
        with self._changed:
            now = self._clock()
            if self._is_over or now >= self._begin_by:
                message = (
                    "left to whoever leads now" if self._is_over else "the lease was not renewed in time"
                )
                raise LeadershipLost(message, operation=operation)
            return self._end_by - now

    @contextmanager
    def effect(self, operation: str) -> Iterator[float]:
        """Around one effect: the seconds it may last at most. Raises LeadershipLost before it begins."""
        with self._changed:
            longest_s = self.check(operation)
            self._under_way += 1
        try:
            yield longest_s
        finally:
            with self._changed:
                self._under_way -= 1
                self._changed.notify_all()

    def wait_idle(self, timeout_s: float) -> bool:
        """Wait until no effect is under way; False when time was up before."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._under_way, timeout_s)
