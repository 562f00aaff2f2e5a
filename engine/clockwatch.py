"""Notice that the time of day has jumped: the clock was set, or the machine slept.

What is due at a time of day waits for a timer that counts seconds, and such a timer knows nothing of a clock that
was set, and stands still while a virtual machine is paused. So a jump of more than a second is told, within half a
second, and everything is looked at again. What is slewed in small steps is no jump. Neighbours: `engine` starts
it, `workqueue` hastens.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

log = logging.getLogger(__name__)

JUMP_S: Final = 1.0
_LOOK_S: Final = 0.5


class ClockWatch:
    """Calls `jumped` from a thread of its own. `wall` is the time of day, `steady` never jumps, both in seconds."""

    def __init__(
        self,
        jumped: Callable[[], object],
        wall: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._jumped, self._wall, self._steady = jumped, wall, steady
        self._apart_s = self._apart()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="clock", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more; waits for nobody."""
        self._stopping.set()

    def look(self) -> None:
        """Compare the two clocks once."""
        before, self._apart_s = self._apart_s, self._apart()
        by_s = self._apart_s - before
        if abs(by_s) > JUMP_S:
            log.info("the time of day has jumped by %+.1f s; everything is looked at again", by_s)
            self._jumped()

    def _apart(self) -> float:
        return self._wall() - self._steady()

    def _run(self) -> None:
        while not self._stopping.wait(_LOOK_S):
            self.look()
