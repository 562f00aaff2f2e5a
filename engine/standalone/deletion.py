"""Deletes: preconditions, finalizers, propagation policies, and what goes with a CRD or a namespace.

An object with finalizers is only marked; whoever removes the last finalizer ends it. Dependents
are the garbage collector's work. Neighbours: `storage`, `garbage`; `objects` calls `finish`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from engine.standalone import failures
from engine.standalone.core_behaviour import NAMESPACE_STORAGE
from engine.standalone.failures import bad_request
from engine.standalone.kinds import Served
from engine.standalone.storage import Place, Store

ORPHAN = "orphan"
FOREGROUND = "foregroundDeletion"
_POLICY_FINALIZER = {"Orphan": ORPHAN, "Foreground": FOREGROUND, "Background": ""}


class Deleter:
    """The deletes. `removed` is told of each object that is gone, `marked` of each that waits."""

    def __init__(
        self,
        store: Store,
        clock: Callable[[], str],
        marked: Callable[[Place, dict[str, Any]], None],
        removed: Callable[[Place, dict[str, Any]], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._marked = marked
        self._removed = removed

    def delete(
        self, served: Served, namespace: str, name: str, options: Mapping[str, Any]
    ) -> tuple[dict[str, Any], bool]:
        """DELETE with DeleteOptions; the stored object after it and whether it is gone.

        404 when missing, 409 when a precondition does not hold; `dryRun` in the options changes nothing.
        """
        place = served.place(namespace, name)
        body = self._store.get(place)
        if body is None:
            raise failures.not_found(served.group, served.plural, name)
        value: dict[str, Any] = json.loads(body)
        self._check_preconditions(served, value, options.get("preconditions") or {})
        policy = options.get("propagationPolicy") or (
            "Orphan" if options.get("orphanDependents") else "Background"
        )
        if policy not in _POLICY_FINALIZER:
            raise bad_request(f"propagationPolicy {policy!r} is none of Orphan, Background, Foreground")
        dry_run = bool(options.get("dryRun"))
        return value, self._end(place, value, _POLICY_FINALIZER[policy], dry_run=dry_run)

    def delete_place(self, place: Place) -> None:
        """Delete in the background whatever lies at `place`, without conditions."""
        body = self._store.get(place)
        if body is not None:
            self._end(place, json.loads(body), "", dry_run=False)

    def finish(self, place: Place, value: dict[str, Any]) -> None:
        """Remove an object whose last finalizer went; `value` is its last state, stored form."""
        self._store.remove(place, value)
        self._removed(place, value)

    def _end(self, place: Place, value: dict[str, Any], finalizer: str, *, dry_run: bool) -> bool:
        metadata = value["metadata"]
        finalizers = metadata.get("finalizers") or []
        wanted = (
            [one for one in finalizers if one not in (ORPHAN, FOREGROUND)] if finalizer else list(finalizers)
        )
        if finalizer:
            wanted.append(finalizer)
        if not wanted and place.resource != NAMESPACE_STORAGE:
            if not dry_run:
                self.finish(place, value)
            return True
        if metadata.get("deletionTimestamp") and wanted == finalizers:
            return False
        if not metadata.get("deletionTimestamp"):
            metadata |= {"deletionTimestamp": self._clock(), "deletionGracePeriodSeconds": 0}
            if "generation" in metadata:
                metadata["generation"] += 1
        if wanted:
            metadata["finalizers"] = wanted
        if place.resource == NAMESPACE_STORAGE:
            value["status"] = (value.get("status") or {}) | {"phase": "Terminating"}
        if not dry_run:
            self._store.put(place, value)
            self._marked(place, value)
        return False

    @staticmethod
    def _check_preconditions(served: Served, value: dict[str, Any], wanted: Mapping[str, Any]) -> None:
        for key, name in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
            want, have = wanted.get(key), value["metadata"][key]
            if want and want != have:
                why = f"Precondition failed: {name} in precondition: {want}, {name} in object meta: {have}"
                raise failures.conflict(served.group, served.plural, value["metadata"]["name"], why)
