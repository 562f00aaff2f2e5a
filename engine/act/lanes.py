"""Keep disruptive effects apart: one at a time over all objects that name the same lane.

A lane is a Lease named after it in the namespace of what is disturbed, held in the name of that
object until its effect has ended. It outlives the process, so a hand-over loses nothing; a lane
whose holder no longer exists is free. What was given back is remembered, so that a pass at rest
asks nothing. Neighbour: `perform`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from engine.base.errors import AlreadyExists, Missing
from engine.base.kinds import Key, Kind
from engine.base.model import Lane
from engine.ports.kube.client import KubeClient

LEASE = Kind("coordination.k8s.io", "v1", "Lease", "leases")


class Lanes:
    """Takes and gives back lanes through one client."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client
        self._released: set[Lane] = set()

    def take(self, lane: Lane) -> bool:
        """Take the lane for its holder; True when it is held now, also when it was before."""
        self._released.discard(lane)
        key = _lease(lane)
        body = {
            "apiVersion": LEASE.api_version,
            "kind": LEASE.name,
            "metadata": {"name": key.name, "namespace": key.namespace},
            "spec": {"holderIdentity": _identity(lane)},
        }
        try:
            self._client.create(LEASE, key.namespace, body)
            return True
        except AlreadyExists:
            pass
        try:
            lease = self._client.get(key)
        except Missing:
            return False
        if lease["spec"].get("holderIdentity") == _identity(lane):
            return True
        return self._break(lease, key, lane)

    def holder(self, lane: Lane) -> str:
        """Who holds the lane, for people."""
        try:
            lease = self._client.get(_lease(lane))
        except Missing:
            return "nobody"
        return str(lease["spec"].get("holderIdentity", "nobody"))

    def release(self, lane: Lane) -> None:
        """Give the lane back if its holder has it; without a request once that is known."""
        if lane in self._released:
            return
        key = _lease(lane)
        try:
            lease = self._client.get(key)
            if lease["spec"].get("holderIdentity") == _identity(lane):
                self._client.delete(key, uid=lease["metadata"]["uid"])
        except Missing:
            pass
        self._released.add(lane)

    def _break(self, lease: Mapping[str, Any], key: Key, lane: Lane) -> bool:
        """Free a lane whose holder is gone; the next pass takes it."""
        holder = str(lease["spec"].get("holderIdentity", ""))
        kind, _, name = holder.partition("/")
        if kind == lane.holder.kind.name and name:
            try:
                self._client.get(Key(lane.holder.kind, lane.holder.namespace, name))
            except Missing:
                self._client.delete(key, uid=lease["metadata"]["uid"])
        return False


def _lease(lane: Lane) -> Key:
    """The Lease of a lane: its name, or a digest where the name is no valid object name."""
    name = f"lane-{lane.name}".lower()
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?", name):
        name = f"lane-{hashlib.blake2b(lane.name.encode(), digest_size=10).hexdigest()}"
    return Key(LEASE, lane.holder.namespace, name)


def _identity(lane: Lane) -> str:
    return f"{lane.holder.kind.name}/{lane.holder.name}"
