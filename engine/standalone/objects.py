"""Create, replace, patch and apply: every write of an object, ending in one store transaction.

Keeps uid, generation, creationTimestamp, the status subresource and managedFields as
kube-apiserver does; a write that changes nothing is not stored. Raises ApiFailure; sqlite3.Error passes through.
Neighbours: `admission` before, `storage` behind, `deletion` when the last finalizer goes.
"""

from __future__ import annotations

import copy
import json
import secrets
import uuid
from collections.abc import Callable
from typing import Any

from engine.standalone import failures, patches
from engine.standalone.admission import WriteOptions, Written, admit, check_envelope, drop_unknown, undeclared
from engine.standalone.apply import apply_config, undeclared_fields
from engine.standalone.conversion import from_stored, to_stored
from engine.standalone.core_behaviour import NAMESPACE_STORAGE
from engine.standalone.deletion import Deleter
from engine.standalone.failures import Cause, bad_request
from engine.standalone.kinds import Served
from engine.standalone.ownership import Owner, after_update
from engine.standalone.storage import Place, Store

_SUFFIX = "bcdfghjklmnpqrstvwxz2456789"
_SET_ONCE = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation")


class Objects:
    """The writes. `clock` gives RFC 3339 seconds; `stored` is told of each object put or removed."""

    def __init__(
        self,
        store: Store,
        deleter: Deleter,
        clock: Callable[[], str],
        stored: Callable[[Place, dict[str, Any]], None],
    ) -> None:
        self._store = store
        self._deleter = deleter
        self._clock = clock
        self._stored = stored

    def read(self, served: Served, namespace: str, name: str) -> dict[str, Any]:
        """The object as a client of `served` sees it; 404 otherwise."""
        body = self._store.get(served.place(namespace, name))
        if body is None:
            raise failures.not_found(served.group, served.plural, name)
        return from_stored(served, body)

    def create(self, served: Served, namespace: str, value: Any, options: WriteOptions) -> Written:
        """POST. The answer has code 201."""
        value = check_envelope(served, value, namespace, "")
        metadata = value["metadata"]
        if metadata.get("resourceVersion"):
            raise bad_request("resourceVersion should not be set on objects to be created")
        warnings = drop_unknown(served, value, options)
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = metadata["generateName"] + "".join(secrets.choice(_SUFFIX) for _ in range(5))
        self._begin(served, value)
        owner = Owner("Update", options.manager, served.api_version)
        admit(served, value, None, self._clock())
        after_update(served, None, value, owner, self._clock())
        return self._insert(served, namespace, value, options, warnings)

    def replace(
        self,
        served: Served,
        namespace: str,
        name: str,
        value: Any,
        options: WriteOptions,
        *,
        status: bool = False,
    ) -> Written:
        """PUT of the object or of its status."""
        value = check_envelope(served, value, namespace, name)
        if served.guarded and not value["metadata"].get("resourceVersion"):
            text = "Invalid value: 0: must be specified for an update"
            cause = Cause(failures.INVALID, "metadata.resourceVersion", text)
            raise failures.invalid(served.group, served.kind, name, [cause])
        old = self.read(served, namespace, name)
        warnings = drop_unknown(served, value, options)
        return self._update(served, old, value, options, warnings, status=status)

    def patch(
        self,
        served: Served,
        namespace: str,
        name: str,
        patch: Any,
        form: str,
        options: WriteOptions,
        *,
        status: bool = False,
    ) -> Written:
        """PATCH in one of the forms of `patches` but apply."""
        old = self.read(served, namespace, name)
        if form == patches.JSON_PATCH:
            value = patches.json_patch(old, patch)
        elif form == patches.MERGE_PATCH:
            value = patches.merge_patch(copy.deepcopy(old), patch)
        elif served.custom:
            text = "the body of the request was in an unknown format - accepted media types include: "
            forms = f"{patches.JSON_PATCH}, {patches.MERGE_PATCH}, {patches.APPLY_PATCH}"
            raise failures.ApiFailure(415, "UnsupportedMediaType", text + forms)
        else:
            value = patches.strategic_patch(copy.deepcopy(old), patch, served.schema)
        value = check_envelope(served, value, namespace, name)
        warnings = drop_unknown(
            served, value, options, patched=json.dumps(patch) if served.custom else "the patch"
        )
        return self._update(served, old, value, options, warnings, status=status)

    def apply(
        self,
        served: Served,
        namespace: str,
        name: str,
        config: Any,
        options: WriteOptions,
        *,
        status: bool = False,
    ) -> Written:
        """Server-side apply; creates the object where it is missing (not through the status)."""
        config = check_envelope(served, config, namespace, name)
        if config["metadata"].get("managedFields"):
            raise bad_request("metadata.managedFields must be nil")
        unknown = undeclared_fields(config, served.schema)
        if unknown:
            raise undeclared(unknown, namespace, name, served)
        config = self._applicable(served, config, status=status)
        body = self._store.get(served.place(namespace, name))
        if body is None and status:
            raise failures.not_found(served.group, served.plural, name)
        owner = Owner("Apply", options.manager, served.api_version, "status" if status else "")
        live: dict[str, Any] = from_stored(served, body) if body else {"metadata": {}}
        version = config["metadata"].pop("resourceVersion", None)
        if version and version != live["metadata"].get("resourceVersion"):
            raise failures.conflict(served.group, served.plural, name)
        value = apply_config(served, live, config, owner, force=options.force, now=self._clock())
        if body is None:
            self._begin(served, value)
            admit(served, value, None, self._clock())
            return self._insert(served, namespace, value, options, [])
        return self._update(served, live, value, options, [], status=status, tracked=True)

    def _applicable(self, served: Served, config: dict[str, Any], *, status: bool) -> dict[str, Any]:
        envelope = {name: config[name] for name in ("apiVersion", "kind", "metadata")}
        if status:
            return envelope | ({"status": config["status"]} if "status" in config else {})
        return {name: value for name, value in config.items() if name != "status" or not served.status}

    def _begin(self, served: Served, value: dict[str, Any]) -> None:
        metadata = value["metadata"]
        for name in (*_SET_ONCE, "resourceVersion", "selfLink"):
            metadata.pop(name, None)
        metadata |= {"uid": str(uuid.uuid4()), "creationTimestamp": self._clock()}
        if served.counts:
            metadata["generation"] = 1
        if served.status:
            value.pop("status", None)

    def _insert(
        self,
        served: Served,
        namespace: str,
        value: dict[str, Any],
        options: WriteOptions,
        warnings: list[str],
    ) -> Written:
        name = value["metadata"]["name"]
        place = served.place(namespace, name)
        if self._store.get(place) is not None:
            raise failures.already_exists(served.group, served.plural, name)
        if served.namespaced:
            self._require_namespace(served, namespace, name)
        if served.warning:
            warnings = [*warnings, served.warning]
        return Written(self._put(served, place, value, options), 201, warnings)

    def _require_namespace(self, served: Served, namespace: str, name: str) -> None:
        body = self._store.get(Place(NAMESPACE_STORAGE, "", namespace))
        if body is None:
            raise failures.not_found("", "namespaces", namespace)
        if json.loads(body)["metadata"].get("deletionTimestamp"):
            why = f"unable to create new content in namespace {namespace} because it is being terminated"
            raise failures.forbidden(served.group, served.plural, name, why)

    def _update(
        self,
        served: Served,
        old: dict[str, Any],
        value: dict[str, Any],
        options: WriteOptions,
        warnings: list[str],
        *,
        status: bool,
        tracked: bool = False,
    ) -> Written:
        place = served.place(old["metadata"].get("namespace", ""), old["metadata"]["name"])
        self._check_identity(served, old, value)
        value = self._settle(served, old, value, status=status)
        admit(served, value, old, self._clock())
        self._check_finalizers(served, old, value)
        if served.counts and _changed(served, old, value):
            value["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1
        if not tracked:
            owner = Owner("Update", options.manager, served.api_version, "status" if status else "")
            after_update(served, old, value, owner, self._clock())
        warnings = [*warnings, served.warning] if served.warning else warnings
        metadata = value["metadata"]
        if (
            metadata.get("deletionTimestamp")
            and not metadata.get("finalizers")
            and served.storage != NAMESPACE_STORAGE
        ):
            if not options.dry_run:
                self._deleter.finish(place, to_stored(served, value))
            return Written(value, 200, warnings)
        if value == old:
            return Written(old, 200, warnings)
        return Written(self._put(served, place, value, options), 200, warnings)

    def _check_identity(self, served: Served, old: dict[str, Any], value: dict[str, Any]) -> None:
        have, want = old["metadata"], value["metadata"]
        name = have["name"]
        if want.get("resourceVersion") not in (None, "", have["resourceVersion"]):
            raise failures.conflict(served.group, served.plural, name)
        if want.get("uid") not in (None, "", have["uid"]):
            why = (
                f"Precondition failed: UID in precondition: {want['uid']}, UID in object meta: {have['uid']}"
            )
            raise failures.conflict(served.group, served.plural, name, why)

    def _settle(
        self, served: Served, old: dict[str, Any], value: dict[str, Any], *, status: bool
    ) -> dict[str, Any]:
        if status:
            managed = value["metadata"].get("managedFields")
            value = {**copy.deepcopy(old), **({"status": value["status"]} if "status" in value else {})}
            if managed is not None:
                value["metadata"]["managedFields"] = managed
        elif served.status:
            value.pop("status", None)
            if "status" in old:
                value["status"] = copy.deepcopy(old["status"])
        metadata = value["metadata"]
        for name in (*_SET_ONCE, "resourceVersion"):
            metadata.pop(name, None)
            if name in old["metadata"]:
                metadata[name] = old["metadata"][name]
        return value

    def _check_finalizers(self, served: Served, old: dict[str, Any], value: dict[str, Any]) -> None:
        if not old["metadata"].get("deletionTimestamp"):
            return
        new = set(value["metadata"].get("finalizers") or ()) - set(old["metadata"].get("finalizers") or ())
        if new:
            text = "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers"
            listed = ", ".join(f'"{one}"' for one in sorted(new))
            cause = Cause(failures.FORBIDDEN, "metadata.finalizers", f"{text} []string{{{listed}}}")
            raise failures.invalid(served.group, served.kind, old["metadata"]["name"], [cause])

    def _put(
        self, served: Served, place: Place, value: dict[str, Any], options: WriteOptions
    ) -> dict[str, Any]:
        if options.dry_run:
            return value
        stored = to_stored(served, value)
        self._store.put(place, stored)
        self._stored(place, stored)
        value["metadata"] = stored["metadata"]
        return value


def _changed(served: Served, old: dict[str, Any], new: dict[str, Any]) -> bool:
    free = {"metadata", "status"} if served.status else {"metadata"}
    names = (old.keys() | new.keys()) - free
    return any(old.get(name) != new.get(name) for name in names)
