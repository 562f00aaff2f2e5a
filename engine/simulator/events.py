"""The event buffer of a machine, as the Events stream reads it (talos-api 1.8).

Holds the last 990 events of a boot, in memory only, as on a real machine. Ids are xids: twenty
characters that sort by time. Knows nothing of gRPC: an event is a message name and its value.
"""

from __future__ import annotations

import base64
import itertools
import os
import struct
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

KEPT: Final = 990
_PROCESS = os.urandom(5)
_COUNTER = itertools.count(int.from_bytes(os.urandom(2), "big"))


@dataclass(frozen=True, slots=True)
class Event:
    """One event; `name` is the message without its package, `at` seconds since the epoch."""

    id: str
    name: str
    value: Mapping[str, Any]
    actor: str
    at: float


def new_xid(now: float) -> str:
    """A fresh id: seconds, process, counter; base32hex in lower case."""
    raw = struct.pack(">I", int(now)) + _PROCESS + struct.pack(">I", next(_COUNTER) & 0xFFFFFF)[1:]
    return base64.b32hexencode(raw).decode().rstrip("=").lower()


def is_xid(text: str) -> bool:
    """Whether a text has the form of an id."""
    return len(text) == 20 and all(character in "0123456789abcdefghijklmnopqrstuv" for character in text)


class EventLog:
    """The buffer and those who follow it."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque(maxlen=KEPT)
        self._followers: list[Callable[[Event], None]] = []

    def add(self, name: str, value: Mapping[str, Any], actor: str = "") -> None:
        now = time.time()
        event = Event(new_xid(now), name, value, actor, now)
        self._events.append(event)
        for follower in list(self._followers):
            follower(event)

    def tail(self, *, count: int = 0, after: str = "", since: float | None = None) -> list[Event]:
        """Past events: the last `count` (-1: all), or those after an id, or those since a time."""
        events = list(self._events)
        if after:
            return [event for event in events if event.id > after]
        if since is not None:
            return [event for event in events if event.at >= since]
        if count < 0:
            return events
        return events[-count:] if count else []

    def follow(self, follower: Callable[[Event], None]) -> Callable[[], None]:
        """Call `follower` for each event to come; the result ends that."""
        self._followers.append(follower)
        return lambda: self._followers.remove(follower)

    def clear(self) -> None:
        self._events.clear()
