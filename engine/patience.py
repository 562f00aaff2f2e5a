"""How soon a key is looked at again: what changes every time ever later, what is costly after a rest.

What a pass does is looked at by the next one soon after. A rule whose passes change something every
time (an effect that never shows, a status that never stays) must not run as fast as it can, so each
further pass in a row that changes something waits twice as long. And what a hundred others wake by
their changes, a pass that computes long, takes them together: it rests ten times as long as it computed.
Thread-safe. Neighbours: `worker`, and `engine` where a change wakes a key.
"""

from __future__ import annotations

import threading

from engine.base.kinds import Key

SOON_S = 0.1
_AT_ONCE = 5
_MOST_DOUBLINGS = 20
_REST = 10.0
_LONGEST_REST_S = 0.5


class Patience:
    """The passes in a row that changed something and what the last one cost, by key."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._in_a_row: dict[Key, int] = {}
        self._cost_s: dict[Key, float] = {}

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

    def spent(self, key: Key, cpu_s: float) -> None:
        """What a pass has computed, in seconds of CPU."""
        with self._lock:
            self._cost_s[key] = cpu_s

    def rest_s(self, key: Key) -> float:
        """Seconds that a key lets pass before it looks at what others have changed."""
        with self._lock:
            return min(_LONGEST_REST_S, _REST * self._cost_s.get(key, 0.0))

    def gone(self, key: Key) -> None:
        """The object is not there any more."""
        with self._lock:
            self._in_a_row.pop(key, None)
            self._cost_s.pop(key, None)
