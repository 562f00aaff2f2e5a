"""How soon a pass that changed something is run again: at once a few times, then ever later.

What a pass does is looked at by the next one soon after. A rule whose passes change something every
time (an effect that never shows, a status that never stays) must not run as fast as it can, so each
further pass in a row that changes something waits twice as long. Thread-safe. Neighbour: `worker`.
"""

from __future__ import annotations

import threading

from engine.base.kinds import Key

SOON_S = 0.1
_AT_ONCE = 5
_MOST_DOUBLINGS = 20


class Patience:
    """The passes in a row that changed something, by key."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._in_a_row: dict[Key, int] = {}

    def next_s(self, key: Key, longest_s: float) -> float:
        """Seconds until the key is to run again after one more such pass, at most `longest_s`."""
        with self._lock:
            before = self._in_a_row.get(key, 0)
            self._in_a_row[key] = before + 1
        doublings = min(max(0, before + 1 - _AT_ONCE), _MOST_DOUBLINGS)
        return float(min(longest_s, SOON_S * 2.0**doublings))

    def forget(self, key: Key) -> None:
        """A pass changed nothing: the next one that does counts as the first."""
        with self._lock:
            self._in_a_row.pop(key, None)
