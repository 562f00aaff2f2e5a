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

from engine.base.timestamps import rfc3339

_BURST = 25
_REFILL_S = 300.0
_LONGEST_MESSAGE = 1024
_LONGEST_STEM = 230
_OBJECTS = 4096


@dataclass(frozen=True, slots=True)
class EventRecord:
    """Something that happened to the API object `regarding`. `message` must hold no secret."""

    regarding: Mapping[str, Any]
    type: Literal["Normal", "Warning"]
    reason: str
    message: str
    reporter: str = "talos-operator"

    @property
    def namespace(self) -> str:
        """Where the event is kept: with its object, in `default` for cluster-wide ones."""
        return str(self.regarding["metadata"].get("namespace") or "default")

    @property
    def subject(self) -> str:
        """What tells the object from every other, its former lives included."""
        return "/".join(self.reference().values())

    @property
    def name(self) -> str:
        """Equal for equal events, so that a repeat is counted instead of written anew."""
        parts = (self.subject, self.type, self.reason, self.message, self.reporter)
        digest = hashlib.blake2b("\0".join(parts).encode(), digest_size=8).hexdigest()
        return f"{self.regarding['metadata']['name'][:_LONGEST_STEM].rstrip('.-')}.{digest}"

    def reference(self) -> dict[str, str]:
        """The object as an event names it."""
        metadata = self.regarding["metadata"]
        return {
            "apiVersion": str(self.regarding["apiVersion"]),
            "kind": str(self.regarding["kind"]),
            "namespace": str(metadata.get("namespace", "")),
            "name": str(metadata["name"]),
            "uid": str(metadata.get("uid", "")),
        }


def first_time(event: EventRecord, now: float) -> dict[str, Any]:
    """The body that creates the event."""
    time = rfc3339(now)
    return {
        "metadata": {"name": event.name, "namespace": event.namespace},
        "involvedObject": event.reference(),
        "type": event.type,
        "reason": event.reason,
        "message": event.message[:_LONGEST_MESSAGE],
        "count": 1,
        "firstTimestamp": time,
        "lastTimestamp": time,
        "source": {"component": event.reporter},
        "reportingComponent": event.reporter,
        "reportingInstance": event.reporter,
    }


def once_more(seen: Mapping[str, Any], now: float) -> dict[str, Any]:
    """The merge patch that counts one more of an event that is there."""
    return {"count": int(seen.get("count") or 1) + 1, "lastTimestamp": rfc3339(now)}


class EventLimit:
    """A token bucket an object, for the objects that caused events last."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allows(self, subject: str, now: float) -> bool:
        """Take a token of the object's bucket; `now` is any steadily growing number of seconds."""
        tokens, at = self._buckets.pop(subject, (float(_BURST), now))
        tokens = min(_BURST, tokens + (now - at) / _REFILL_S)
        allowed = tokens >= 1
        self._buckets[subject] = (tokens - 1 if allowed else tokens, now)
        if len(self._buckets) > _OBJECTS:
            self._buckets.popitem(last=False)
        return allowed
