"""Apply the files named on the command line and tell when everything in them is Ready.

A document is applied server-side under a manager of its own; the first refusal ends it, saying
which file and object. Never waits: `app` asks `obstacles` again and again until none is left or
the time is up. Neighbours: `app` and the live table of the command line.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.base.errors import RemoteError, SettingsError
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


def apply_files(client: KubeClient, files: Iterable[Path]) -> list[Applied]:
    """Apply every document of every file, in order.

    Raises SettingsError for a file that cannot be read and for an object that is refused.
    """
    applied = []
    for file in files:
        try:
            documents = load_documents(file.read_text())
        except OSError as error:
            raise SettingsError(f"--apply {file}: {error.strerror or error}") from error
        except (ValueError, YAMLError) as error:
            raise SettingsError(f"--apply {file}: {error}") from error
        for number, document in enumerate(documents, start=1):
            applied.append(Applied(_apply(client, file, number, document), file))
    return applied


def _apply(client: KubeClient, file: Path, number: int, document: Any) -> Key:
    if not isinstance(document, Mapping) or not {"apiVersion", "kind", "metadata"} <= document.keys():
        raise SettingsError(f"--apply {file}: document {number} needs apiVersion, kind and metadata")
    metadata = document["metadata"]
    if not isinstance(metadata, Mapping) or not metadata.get("name"):
        raise SettingsError(f"--apply {file}: document {number} needs metadata.name")
    shown = f"{document['kind']} {metadata['name']}"
    try:
        kind = client.kind_named(document["apiVersion"], document["kind"])
        namespace = (metadata.get("namespace") or _DEFAULT_NAMESPACE) if kind.namespaced else ""
        key = Key(kind, namespace, str(metadata["name"]))
        body = {**document, "metadata": {**metadata, **({"namespace": namespace} if namespace else {})}}
        client.apply(key, body, manager=_MANAGER)
    except RemoteError as error:
        raise SettingsError(f"--apply {file}: {shown}: {error.message}") from error
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
