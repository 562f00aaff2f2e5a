"""Keep disruptive effects apart: one at a time over all objects that name the same lane.

A lane is a Lease named after it in the namespace of what is disturbed, held in the name of that
object until its effect has ended. It outlives the process, so a hand-over loses nothing; a lane
whose holder no longer exists is free, and its Lease goes with the holder. A lane that was taken a moment ago is not given back: what
says that its effect has ended may have been observed before it began. What was given back is
remembered, so that a pass at rest asks nothing. Neighbour: `perform`.
"""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from engine.base.errors import AlreadyExists, Conflict, Missing
from engine.base.kinds import Key
from engine.base.model import Lane
from engine.decide.manifest import owner_reference
from engine.ports.kube.client import KubeClient
from engine.ports.kube.lease import LEASE

SETTLE_S = 5.0
_MOST_REMEMBERED = 10_000


class Lanes:
    """Takes and gives back lanes through one client. `clock` counts seconds and never goes back."""

    def __init__(self, client: KubeClient, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._lock = threading.Lock()
        self._released: set[Lane] = set()
        self._taken: dict[Lane, float] = {}

    def take(self, lane: Lane) -> bool:
        """Take the lane for its holder; True when it is held now, also when it was before."""
        # Noted before it is taken, so that no other pass gives it back meanwhile.
        now = self._clock()
        with self._lock:
            self._released.discard(lane)
            self._taken = {other: at for other, at in self._taken.items() if now - at < SETTLE_S}
            before = self._taken.get(lane)
            self._taken[lane] = now
        held = False
        try:
            held = self._take(lane)
        finally:
            if not held:
                self._unnote(lane, before)
        return held

    def holder(self, lane: Lane) -> str:
        """Who holds the lane, for people."""
        try:
            lease = self._client.get(_lease(lane))
        except Missing:
            return "nobody"
        return str(lease["spec"].get("holderIdentity", "nobody"))

    def release(self, lane: Lane) -> bool:
        """Give the lane back if its holder has it; without a request once that is known.

        False while it was taken too short a time ago; ask again later.
        """
        with self._lock:
            if lane in self._released:
                return True
            if self._clock() - self._taken.get(lane, float("-inf")) < SETTLE_S:
                return False
        key = _lease(lane)
        with suppress(Missing, Conflict):
            lease = self._client.get(key)
            if lease["spec"].get("holderIdentity") == _identity(lane.holder):
                self._client.delete(key, uid=lease["metadata"]["uid"])
        with self._lock:
            if lane not in self._taken or self._clock() - self._taken[lane] >= SETTLE_S:
                if len(self._released) >= _MOST_REMEMBERED:
                    self._released.clear()
                self._released.add(lane)
        return True

    def _unnote(self, lane: Lane, before: float | None) -> None:
        with self._lock:
            if before is None:
                self._taken.pop(lane, None)
            else:
                self._taken[lane] = before

    def _take(self, lane: Lane) -> bool:
        key = _lease(lane)
        metadata: dict[str, Any] = {"name": key.name, "namespace": key.namespace}
        with suppress(Missing):
            holder = self._client.get(lane.holder)
            metadata["ownerReferences"] = [owner_reference(holder, controller=False)]
        body = {"metadata": metadata, "spec": {"holderIdentity": _identity(lane.holder)}}
        try:
            self._client.create(LEASE, key.namespace, body)
        except AlreadyExists:
            pass
        else:
            return True
        try:
            lease = self._client.get(key)
        except Missing:
            return False
        if lease["spec"].get("holderIdentity") == _identity(lane.holder):
            return True
        if self._is_gone(lease):
            # The next pass takes it: between two that free it, only one can create it.
            with suppress(Missing, Conflict):
                self._client.delete(key, uid=lease["metadata"]["uid"])
        return False

    def _is_gone(self, lease: Mapping[str, Any]) -> bool:
        """Whether the holder of a lane no longer exists; one that is not named in our way may."""
        written, _, name = str(lease["spec"].get("holderIdentity", "")).partition("/")
        kind_name, _, rest = written.partition(".")
        version, _, group = rest.partition(".")
        if not (name and kind_name and version):
            return False
        try:
            kind = self._client.kind_named(f"{group}/{version}" if group else version, kind_name)
            self._client.get(Key(kind, lease["metadata"]["namespace"] if kind.namespaced else "", name))
        except Missing:
            return True
        return False


def _lease(lane: Lane) -> Key:
    """The Lease of a lane: its name, or a digest where the name is no valid object name."""
    name = f"lane-{lane.name}".lower()
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?", name):
        name = f"lane-{hashlib.blake2b(lane.name.encode(), digest_size=10).hexdigest()}"
    return Key(LEASE, lane.holder.namespace, name)


def _identity(holder: Key) -> str:
    """`Kind.version.group/name`: enough to look whether the holder is still there."""
    kind = holder.kind
    parts = [kind.name, kind.version, kind.group] if kind.group else [kind.name, kind.version]
    return f"{'.'.join(parts)}/{holder.name}"
