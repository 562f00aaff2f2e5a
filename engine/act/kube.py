"""Write API objects: look first, write only what differs, never write what is there already.

The cache is looked at before the API server, so a pass at rest sends nothing. Writes are
server-side applies under one field manager: what a rule no longer says is taken away again. Whether a key of
a live `spec` was ours only the server knows; it is asked once for each state of the object.
Neighbours: `perform` calls it, `contains` compares.
"""

from __future__ import annotations

import base64
import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final, Protocol

from engine.act.contains import contains, says_more
from engine.base.errors import AlreadyExists, CapabilityError, Conflict, Missing
from engine.base.kinds import Key
from engine.base.model import KubeWrite, Made, Outcome, OutcomeStatus, PlannedStep
from engine.base.values import Opaque, Value, reveal
from engine.freshness import OwnWrites
from engine.ports.kube.client import KubeClient

_MOST_SETTLED: Final = 10_000


class Cache(Protocol):
    """The watch cache, as far as writing needs it."""

    def get(self, key: Key) -> Mapping[str, Any] | None: ...


class KubeWriter:
    """Writes through one client, comparing with one cache."""

    def __init__(self, client: KubeClient, cache: Cache, writes: OwnWrites) -> None:
        self._client = client
        self._cache = cache
        self._writes = writes
        self._lock = threading.Lock()
        self._settled: OrderedDict[Key, tuple[object, Mapping[str, Any]]] = OrderedDict()

    def live(self, key: Key) -> Mapping[str, Any]:
        """The object as the API server has it now; raises Missing when it is gone."""
        return self._client.get(key)

    def write(
        self, step: PlannedStep, made: Mapping[str, Value] | None, *, manager: str, dry: bool
    ) -> Outcome:
        """Carry out one KubeWrite as `manager`; raises RemoteError.

        Two kinds that write to one object have managers of their own, so that neither takes away what
        the other one has written.
        """
        write = step.effect
        assert isinstance(write, KubeWrite)
        seen = self._cache.get(write.target)
        status, message = self._write(write, seen, made, manager=manager, dry=dry)
        if dry and status not in ("unchanged", "failed"):
            message, status = f"would have {status} {write.target}", "would"
        return Outcome(id=step.id, item=step.item, status=status, message=message)

    def _write(
        self,
        write: KubeWrite,
        seen: Mapping[str, Any] | None,
        made: Mapping[str, Value] | None,
        *,
        manager: str,
        dry: bool,
    ) -> tuple[OutcomeStatus, str]:
        if write.verb == "delete":
            return self._delete(write.target, seen, dry=dry)
        if write.verb == "create":
            return self._create(write, seen, made, dry=dry)
        manifest = _filled(_with_creation(write, seen), made)
        held = seen is not None and contains(seen, _as_stored(manifest))
        if held and not self._may_take(write, seen, manifest):
            return "unchanged", ""
        if write.verb == "patch":
            change = {key: value for key, value in manifest.items() if key not in ("apiVersion", "kind")}
            written = self._client.patch(write.target, reveal(change), dry_run=dry)
        else:
            if seen is not None:
                self._check_still_there(write.target)
            written = self._client.apply(
                write.target, reveal(_as_stored(manifest)), manager=manager, dry_run=dry
            )
        if held and seen is not None and written.get("spec") == seen.get("spec"):
            self._settle(write.target, seen, manifest)
            if dry:
                return "unchanged", ""
        if seen is not None and not dry:
            if written["metadata"]["resourceVersion"] == seen["metadata"]["resourceVersion"]:
                # The server has its own way to write what we want, and has it already.
                return "unchanged", ""
            self._writes.note(write.target, seen, written)
        return ("created" if seen is None else "updated"), str(write.target)

    def _may_take(
        self, write: KubeWrite, seen: Mapping[str, Any] | None, manifest: Mapping[str, Any]
    ) -> bool:
        """Whether an apply may take something out of what is there: defaults and what others wrote stay."""
        if seen is None or write.verb != "apply" or not says_more(seen.get("spec"), manifest.get("spec")):
            return False
        with self._lock:
            return self._settled.get(write.target) != (_state(seen), manifest)

    def _settle(self, target: Key, live: Mapping[str, Any], manifest: Mapping[str, Any]) -> None:
        """The server has taken away from this state what it would."""
        with self._lock:
            self._settled[target] = _state(live), manifest
            self._settled.move_to_end(target)
            while len(self._settled) > _MOST_SETTLED:
                self._settled.popitem(last=False)

    def _check_still_there(self, target: Key) -> None:
        """What somebody deleted since this pass looked is not made again out of what the pass knows of it.

        Of a Secret with keys that would be the part without them. Raises Conflict, nothing sent.
        """
        try:
            self._client.get(target)
        except Missing:
            raise Conflict(f"{target} was deleted since this pass began", sent="no") from None

    def _create(
        self, write: KubeWrite, seen: Mapping[str, Any] | None, made: Mapping[str, Value] | None, *, dry: bool
    ) -> tuple[OutcomeStatus, str]:
        """Create what is absent; what exists counts as done and is never overwritten."""
        if seen is not None:
            return "unchanged", ""
        try:
            self._client.get(write.target)
            return "unchanged", ""
        except Missing:
            pass
        manifest = _as_stored(_filled(_with_creation(write, None), made))
        try:
            self._client.create(write.target.kind, write.target.namespace, reveal(manifest), dry_run=dry)
        except AlreadyExists:
            return "unchanged", ""
        return "created", str(write.target)

    def _delete(self, target: Key, seen: Mapping[str, Any] | None, *, dry: bool) -> tuple[OutcomeStatus, str]:
        if seen is None or seen["metadata"].get("deletionTimestamp"):
            return "unchanged", ""
        try:
            self._client.delete(target, uid=seen["metadata"]["uid"], dry_run=dry)
        except Missing:
            return "unchanged", ""
        return "deleted", str(target)

    def add_finalizer(self, key: Key, live: Mapping[str, Any], name: str) -> Mapping[str, Any]:
        """Add a finalizer under the seen resource version; returns the object as written."""
        return self._set_finalizers(key, live, [*(live["metadata"].get("finalizers") or ()), name])

    def remove_finalizer(self, key: Key, live: Mapping[str, Any], name: str) -> None:
        """Take a finalizer away; an object that is gone by then is what was wanted."""
        try:
            now = self._client.get(key)
            left = [item for item in now["metadata"].get("finalizers") or () if item != name]
            self._set_finalizers(key, now, left)
        except Missing:
            pass

    def _set_finalizers(self, key: Key, seen: Mapping[str, Any], names: list[str]) -> Mapping[str, Any]:
        version = seen["metadata"]["resourceVersion"]
        body = {"metadata": {"finalizers": names, "resourceVersion": version}}
        written = self._client.patch(key, body)
        self._writes.note(key, seen, written)
        return written


def _state(live: Mapping[str, Any]) -> object:
    """What changes with every change of the spec."""
    metadata = live["metadata"]
    return metadata.get("uid"), metadata.get("generation") or metadata["resourceVersion"]


def _with_creation(write: KubeWrite, seen: Mapping[str, Any] | None) -> dict[str, Any]:
    """The manifest with the annotations that count at creation only.

    On an object that is there they are repeated as they stand, so that applying the rest does
    not take them away, and one that a person removed stays removed.
    """
    if not write.annotations_at_creation:
        return dict(write.manifest)
    metadata = dict(write.manifest["metadata"])
    there = None if seen is None else seen["metadata"].get("annotations") or {}
    kept = {
        key: text if there is None else there[key]
        for key, text in write.annotations_at_creation.items()
        if there is None or key in there
    }
    metadata["annotations"] = {**kept, **metadata.get("annotations", {})}
    return {**write.manifest, "metadata": metadata}


def _filled(value: Value, made: Mapping[str, Value] | None) -> Any:
    """A copy with every stand-in for `made` replaced by what `make` gave."""
    if isinstance(value, Made):
        if made is None or value.name not in made:
            raise CapabilityError(f"`make` gave no {value.name}", sent="no")
        return made[value.name]
    if isinstance(value, dict):
        return {key: _filled(item, made) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, made) for item in value]
    return value


def _as_stored(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """`stringData` as the API server keeps it: base64 under `data`, so that it can be compared."""
    texts = manifest.get("stringData")
    if texts is None:
        return dict(manifest)
    data = dict(manifest.get("data") or {})
    for key, text in texts.items():
        plain = text.reveal() if isinstance(text, Opaque) else str(text)
        data[key] = base64.b64encode(plain.encode()).decode()
    return {**{key: value for key, value in manifest.items() if key != "stringData"}, "data": data}
