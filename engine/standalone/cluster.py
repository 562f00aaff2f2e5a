"""The parts put together: store, kinds, writes, deletes, collection, and what follows from a change.

A stored CRD changes what is served; every change wakes its watchers; deletes wake the collector. Used
from one event loop. Neighbours: `server` owns it, `api` answers requests with it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from engine.base.timestamps import rfc3339
from engine.standalone.admission import WriteOptions
from engine.standalone.core_behaviour import NAMESPACE_STORAGE
from engine.standalone.definitions import CRD_STORAGE, core_kinds, served_kinds
from engine.standalone.deletion import Deleter
from engine.standalone.failures import ApiFailure, StandaloneError
from engine.standalone.garbage import Collector
from engine.standalone.kinds import Catalog, Served
from engine.standalone.objects import Objects
from engine.standalone.storage import DEFAULT_LOG_LIMIT, Place, Store
from engine.standalone.watching import Bell

_STARTER = WriteOptions(manager="standalone")


class Cluster:
    """All state of one API server. StandaloneError when the database or a CRD file is unusable.

    `kinds` are served beside the core ones; without a `crd_directory` there are no CRDs but those it is given.
    """

    def __init__(
        self,
        database: Path,
        crd_directory: Path | None,
        *,
        log_limit: int = DEFAULT_LOG_LIMIT,
        kinds: Iterable[Served] = (),
    ) -> None:
        self.store = Store(database, log_limit=log_limit)
        self.catalog = Catalog()
        self.bell = Bell()
        self.deleter = Deleter(self.store, _now, self._stored, self._removed)
        self.objects = Objects(self.store, self.deleter, _now, self._stored)
        self.collector = Collector(self.store, self.catalog, self.deleter, time.time, self.bell.ring)
        self.catalog.serve([*core_kinds(), *kinds])
        try:
            for place in self.store.names(CRD_STORAGE):
                self.catalog.serve(served_kinds(json.loads(self.store.get(place) or b"")))
            for file in sorted(crd_directory.glob("*.yaml")) if crd_directory is not None else ():
                self._install(file)
            self._ensure(self._core("", "namespaces"), _object("v1", "Namespace", "default"))
        except BaseException:
            self.store.close()
            raise

    def _core(self, group: str, plural: str) -> Served:
        found = self.catalog.find(group, "v1", plural)
        assert found is not None
        return found

    def _install(self, file: Path) -> None:
        kind = self._core("apiextensions.k8s.io", "customresourcedefinitions")
        try:
            documents = list(yaml.load_all(file.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader))
            for document in documents:
                if isinstance(document, dict) and document.get("kind") == kind.kind:
                    self._ensure(kind, json.loads(json.dumps(document)))
        except (ApiFailure, ValueError, TypeError, yaml.YAMLError) as error:
            raise StandaloneError(f"cannot serve the CustomResourceDefinition in {file}: {error}") from error

    def _ensure(self, kind: Served, value: dict[str, Any]) -> None:
        name = value.get("metadata", {}).get("name", "")
        if self.store.get(kind.place("", name)) is None:
            self.objects.create(kind, "", value, _STARTER)
        elif "spec" in value:
            old = self.objects.read(kind, "", name)
            self.objects.replace(kind, "", name, old | {"spec": value["spec"]}, _STARTER)

    def _stored(self, place: Place, value: dict[str, Any]) -> None:
        if place.resource == CRD_STORAGE:
            self.catalog.serve(served_kinds(value))
        metadata = value["metadata"]
        owners = metadata.get("ownerReferences") or ()
        if metadata.get("deletionTimestamp") or not all(self.store.place_of(one["uid"]) for one in owners):
            self.collector.wake()
        self.bell.ring(place.resource)

    def _removed(self, place: Place, value: dict[str, Any]) -> None:
        if place.resource == CRD_STORAGE:
            self._drop_instances(place.name)
        if place.resource != NAMESPACE_STORAGE:
            self.collector.wake()
        self.bell.ring(place.resource)

    def _drop_instances(self, storage: str) -> None:
        self.catalog.withdraw(storage)
        for place in self.store.names(storage):
            self.store.remove(place, json.loads(self.store.get(place) or b""))
        self.bell.ring(storage)


def _object(api_version: str, kind: str, name: str) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}}


def _now() -> str:
    return rfc3339(time.time())
