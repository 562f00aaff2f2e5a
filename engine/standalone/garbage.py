"""Garbage collection in the background: owner references, propagation policies, namespaces, CRDs, old events.

Works from the stored state alone, so a restart loses nothing; a sweep runs when something was
deleted and once in a while. An owner of a kind that is not served counts as present. Never runs inside a
request. Neighbours: `deletion`, `storage`, `kinds`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
from collections.abc import Callable
from datetime import datetime
from typing import Any

from engine.standalone.core_behaviour import NAMESPACE_STORAGE
from engine.standalone.deletion import FOREGROUND, ORPHAN, Deleter
from engine.standalone.kinds import Catalog
from engine.standalone.storage import Place, Store

_SWEEP_EVERY_S = 30.0
_LOG = logging.getLogger(__name__)


class Collector:
    """The sweeps. `now` gives seconds since the epoch; `ring` announces a changed kind."""

    def __init__(
        self,
        store: Store,
        catalog: Catalog,
        deleter: Deleter,
        now: Callable[[], float],
        ring: Callable[[str], None],
    ) -> None:
        self._store = store
        self._catalog = catalog
        self._deleter = deleter
        self._now = now
        self._ring = ring
        self._wanted = asyncio.Event()

    def wake(self) -> None:
        """Something was deleted or marked: sweep soon."""
        self._wanted.set()

    async def run(self) -> None:
        """Sweep for ever; cancel to stop."""
        loop = asyncio.get_running_loop()
        expiry = loop.time()
        while True:
            self._wanted.clear()
            try:
                self.sweep()
                if loop.time() >= expiry:
                    self.expire()
                    expiry = loop.time() + _SWEEP_EVERY_S
            except sqlite3.Error as error:
                _LOG.warning("garbage collection waits: the database failed: %s", error)
            try:
                await asyncio.wait_for(self._wanted.wait(), _SWEEP_EVERY_S)
            except TimeoutError:
                continue

    def sweep(self) -> None:
        """One pass over everything that lost its owner or waits to be gone."""
        for place in self._store.dangling():
            self._collect(place)
        for place in self._store.waiting():
            self._finish(place)

    def expire(self) -> None:
        """Delete the events that are older than their kind keeps them."""
        for kind in {one.storage: one for one in self._catalog if one.ttl_s}.values():
            self._expire(kind.storage, self._now() - (kind.ttl_s or 0))

    def _collect(self, place: Place) -> None:
        value = self._read(place)
        if value is None or value["metadata"].get("deletionTimestamp"):
            return
        references = value["metadata"].get("ownerReferences") or []
        solid = [one for one in references if self._present(one, place.namespace)]
        if not solid:
            self._deleter.delete_place(place)
        elif len(solid) < len(references):
            value["metadata"]["ownerReferences"] = solid
            self._put(place, value)

    def _present(self, reference: dict[str, Any], namespace: str) -> bool:
        owner = self._store.place_of(reference["uid"])
        if owner is None:
            return not self._catalog.knows(reference["apiVersion"], reference["kind"])
        return owner.namespace in ("", namespace)

    def _finish(self, place: Place) -> None:
        value = self._read(place)
        if value is None:
            return
        finalizers = value["metadata"].get("finalizers") or []
        if ORPHAN in finalizers:
            self._orphan(value["metadata"]["uid"])
            self._release(place, value, ORPHAN)
        elif FOREGROUND in finalizers and not self._delete_dependents(value["metadata"]["uid"]):
            self._release(place, value, FOREGROUND)
        elif place.resource == NAMESPACE_STORAGE:
            self._empty_namespace(place, value)

    def _orphan(self, uid: str) -> None:
        for place in self._store.dependents(uid):
            value = self._read(place)
            if value is not None:
                references = value["metadata"]["ownerReferences"]
                value["metadata"]["ownerReferences"] = [one for one in references if one["uid"] != uid]
                self._put(place, value)

    def _delete_dependents(self, uid: str) -> bool:
        """Whether a dependent that blocks its owner is still there after deleting them all."""
        for place in self._store.dependents(uid):
            self._deleter.delete_place(place)
        left = (self._read(place) for place in self._store.dependents(uid))
        references = [one for value in left if value for one in value["metadata"]["ownerReferences"]]
        return any(one["uid"] == uid and one.get("blockOwnerDeletion") for one in references)

    def _empty_namespace(self, place: Place, value: dict[str, Any]) -> None:
        for storage in {kind.storage for kind in self._catalog if kind.namespaced}:
            for inside in self._store.names(storage, place.name):
                self._deleter.delete_place(inside)
        left = any(self._store.names(k.storage, place.name) for k in self._catalog if k.namespaced)
        if not left and not value["metadata"].get("finalizers"):
            value["spec"] = {}
            self._deleter.finish(place, value)

    def _expire(self, storage: str, oldest: float) -> None:
        for place in self._store.names(storage):
            value = self._read(place)
            seen = value and (value.get("lastTimestamp") or value["metadata"]["creationTimestamp"])
            if seen and datetime.fromisoformat(seen).timestamp() < oldest:
                self._deleter.delete_place(place)

    def _release(self, place: Place, value: dict[str, Any], finalizer: str) -> None:
        left = [one for one in value["metadata"]["finalizers"] if one != finalizer]
        value["metadata"]["finalizers"] = left
        if left or place.resource == NAMESPACE_STORAGE:
            self._put(place, value)
        else:
            self._deleter.finish(place, value)

    def _read(self, place: Place) -> dict[str, Any] | None:
        body = self._store.get(place)
        return json.loads(body) if body else None

    def _put(self, place: Place, value: dict[str, Any]) -> None:
        self._store.put(place, value)
        self._ring(place.resource)
