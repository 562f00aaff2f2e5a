"""Apply the files named on the command line and tell when everything in them is Ready.

A document is applied server-side under a manager of its own; one refusal ends it, saying which file
and object, before anything was written. Never waits: `app` asks `obstacles` again and again until none is left or
the time is up. Neighbours: `app` and the live table of the command line.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.base.errors import Missing, RemoteError, SettingsError
from engine.base.kinds import Key
from engine.base.yamltext import YAMLError, load_documents
from engine.ports.kube.client import KubeClient

_MANAGER = "talos-operator-apply"
_DEFAULT_NAMESPACE = "default"


@dataclass(frozen=True, slots=True)
class Applied:
    """One object that was applied, and the file it came from."""

    key: Key
    file: Path


@dataclass(frozen=True, slots=True)
class Manifest:
    """One object that a file describes."""

    file: Path
    document: Mapping[str, Any]

    def __str__(self) -> str:
        return f"--apply {self.file}: {self.document['kind']} {self.document['metadata']['name']}"


def apply_files(client: KubeClient, files: Iterable[Path]) -> list[Applied]:
    """Apply every document of every file, in order; SettingsError as of `read_files` and `apply_all`."""
    return apply_all(client, read_files(files))


def read_files(files: Iterable[Path]) -> list[Manifest]:
    """Every document of every file, in order.

    Raises SettingsError for a file that cannot be read and for a document that is no object.
    """
    manifests = []
    for file in files:
        try:
            documents = load_documents(file.read_text())
        except OSError as error:
            raise SettingsError(f"--apply {file}: {error.strerror or error}") from error
        except (ValueError, YAMLError) as error:
            raise SettingsError(f"--apply {file}: {error}") from error
        for number, document in enumerate(documents, start=1):
            where = f"--apply {file}: document {number}"
            if not isinstance(document, Mapping) or not {"apiVersion", "kind", "metadata"} <= document.keys():
                raise SettingsError(f"{where} needs apiVersion, kind and metadata")
            if not isinstance(document["metadata"], Mapping) or not document["metadata"].get("name"):
                raise SettingsError(f"{where} needs metadata.name")
            manifests.append(Manifest(file, document))
    return manifests


def apply_all(client: KubeClient, manifests: Sequence[Manifest]) -> list[Applied]:
    """Apply all objects, or none when one of them is refused.

    Raises SettingsError for an object that is refused. What lacks its kind or namespace is refused only
    when its turn comes: an object before it may bring that along.
    """
    for manifest in manifests:
        try:
            _apply(client, manifest, dry_run=True)
        except Missing:
            continue
        except RemoteError as error:
            raise SettingsError(f"{manifest}: {error.message}; nothing was applied") from error
    applied = []
    for manifest in manifests:
        try:
            applied.append(Applied(_apply(client, manifest), manifest.file))
        except RemoteError as error:
            raise SettingsError(f"{manifest}: {error.message}") from error
    return applied


def _apply(client: KubeClient, manifest: Manifest, *, dry_run: bool = False) -> Key:
    document, metadata = manifest.document, manifest.document["metadata"]
    kind = client.kind_named(document["apiVersion"], document["kind"])
    namespace = (metadata.get("namespace") or _DEFAULT_NAMESPACE) if kind.namespaced else ""
    key = Key(kind, namespace, str(metadata["name"]))
    body = {**document, "metadata": {**metadata, **({"namespace": namespace} if namespace else {})}}
    client.apply(key, body, manager=_MANAGER, dry_run=dry_run)
    return key


def obstacles(client: KubeClient, applied: Iterable[Applied]) -> list[str]:
    """Why the applied objects are not all Ready yet; an object without conditions is ready by being there."""
    reasons = []
    for item in applied:
        try:
            live = client.get(item.key)
        except RemoteError as error:
            reasons.append(f"{item.key}: {error.message}")
            continue
        reason = _obstacle(live)
        if reason:
            reasons.append(f"{item.key}: {reason}")
    return reasons


def _obstacle(live: Mapping[str, Any]) -> str:
    if "spec" not in live:
        return ""
    ready = next(
        (item for item in (live.get("status") or {}).get("conditions") or () if item["type"] == "Ready"), None
    )
    if ready is None:
        return "not looked at yet"
    if ready.get("observedGeneration", 0) < live["metadata"].get("generation", 1):
        return "its last change was not looked at yet"
    return "" if ready["status"] == "True" else f"{ready.get('reason', '')}: {ready.get('message', '')}"
