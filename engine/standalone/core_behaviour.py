"""What a few core kinds do beyond their schema: Namespace, Secret and CustomResourceDefinition.

The one place that tells kinds apart by name; custom kinds never come here.
Neighbours: `admission` calls `before_write`.
"""

from __future__ import annotations

import base64
from typing import Any

from engine.standalone import definitions
from engine.standalone.failures import Cause

NAMESPACE_STORAGE = "namespaces"
_SECRET_STORAGE = "secrets"  # noqa: S105  a resource name


def before_write(storage: str, value: dict[str, Any], now: str) -> list[Cause]:
    """Fill in what the kind itself fills in, in place; gives what is wrong beyond the schema."""
    if storage == NAMESPACE_STORAGE:
        _complete_namespace(value)
    elif storage == _SECRET_STORAGE:
        _encode_strings(value)
    elif storage == definitions.CRD_STORAGE:
        found = definitions.problems(value)
        if not found:
            definitions.complete(value, now)
        return found
    return []


def _complete_namespace(value: dict[str, Any]) -> None:
    metadata = value["metadata"]
    metadata.setdefault("labels", {})["kubernetes.io/metadata.name"] = metadata.get("name", "")
    value["spec"] = {"finalizers": ["kubernetes"]}
    phase = "Terminating" if metadata.get("deletionTimestamp") else "Active"
    value["status"] = (value.get("status") or {}) | {"phase": phase}


def _encode_strings(value: dict[str, Any]) -> None:
    plain = value.pop("stringData", None)
    if plain:
        encoded = {name: base64.b64encode(text.encode()).decode() for name, text in plain.items()}
        value["data"] = (value.get("data") or {}) | encoded
