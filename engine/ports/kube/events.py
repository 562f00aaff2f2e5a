"""What an event says, as core/v1 writes it, and how many of them one object may cause.

Pure but for the state of the limit; the time is given. The shape is that of core/v1 Event; the
limit of 25 at once and one every five minutes after that is client-go's. Neighbours: `recorder`
sends, `engine.report` says what happened.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from engine.base.kinds import Key
from engine.base.timestamps import rfc3339

_COMPONENT = "talos-operator"
_BURST = 25
_REFILL_S = 300.0
_LONGEST_MESSAGE = 1024
_LONGEST_STEM = 230
_OBJECTS = 4096


@dataclass(frozen=True, slots=True)
class EventRecord:
    """Something that happened to `key`; `uid` is that object's. `message` must hold no secret."""

    key: Key
    uid: str
    type: Literal["Normal", "Warning"]
    reason: str
    message: str
    action: str = ""

    @property
    def namespace(self) -> str:
        """Where the event is kept: with its object, in `default` for cluster-wide ones."""
        return self.key.namespace or "default"

    @property
    def name(self) -> str:
        """Equal for equal events, so that a repeat is counted instead of written anew."""
        parts = (self.uid, str(self.key), self.type, self.reason, self.message)
        digest = hashlib.blake2b("\0".join(parts).encode(), digest_size=8).hexdigest()
        return f"{self.key.name[:_LONGEST_STEM].rstrip('.-')}.{digest}"


def first_time(event: EventRecord, now: float) -> dict[str, Any]:
    """The body that creates the event."""
    time = rfc3339(now)
    return {
        "metadata": {"name": event.name, "namespace": event.namespace},
        "involvedObject": {
            "apiVersion": event.key.kind.api_version,
            "kind": event.key.kind.name,
            "namespace": event.key.namespace,
            "name": event.key.name,
            "uid": event.uid,
        },
        "type": event.type,
        "reason": event.reason,
        "message": event.message[:_LONGEST_MESSAGE],
        "action": event.action or event.reason,
        "count": 1,
        "firstTimestamp": time,
        "lastTimestamp": time,
        "source": {"component": _COMPONENT},
        "reportingComponent": _COMPONENT,
        "reportingInstance": _COMPONENT,
    }


def once_more(seen: Mapping[str, Any], now: float) -> dict[str, Any]:
    """The merge patch that counts one more of an event that is there."""
    return {"count": int(seen.get("count") or 1) + 1, "lastTimestamp": rfc3339(now)}


class EventLimit:
    """A token bucket an object, for the objects that caused events last."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[Key, tuple[float, float]] = OrderedDict()

    def allows(self, key: Key, now: float) -> bool:
        """Take a token of the object's bucket; `now` is any steadily growing number of seconds."""
        tokens, at = self._buckets.pop(key, (float(_BURST), now))
        tokens = min(_BURST, tokens + (now - at) / _REFILL_S)
        allowed = tokens >= 1
        self._buckets[key] = (tokens - 1 if allowed else tokens, now)
        if len(self._buckets) > _OBJECTS:
            self._buckets.popitem(last=False)
        return allowed
