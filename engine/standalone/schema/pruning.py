"""Drops the fields a structural schema does not name, and says which.

`x-kubernetes-preserve-unknown-fields` keeps what it covers, though named fields below are still
pruned by their own schema; embedded resources keep apiVersion, kind and metadata. Never validates.
"""

from __future__ import annotations

from typing import Any

from engine.standalone.schema import Schema

_ENVELOPE = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"}}
_KEEP_ALL: Schema = {"x-kubernetes-preserve-unknown-fields": True}


def prune(value: Any, schema: Schema, *, path: str = "", resource: bool = False) -> list[str]:
    """Change `value` in place and give the dotted paths that were dropped.

    `resource` says that `value` is a whole object, whose apiVersion, kind and metadata stay.
    """
    dropped: list[str] = []
    _prune(value, schema, path, resource, dropped)
    return dropped


def _prune(value: Any, schema: Schema, path: str, resource: bool, dropped: list[str]) -> None:
    if isinstance(value, list):
        items = schema.get("items")
        if items is None and not schema.get("x-kubernetes-preserve-unknown-fields"):
            return
        for index, item in enumerate(value):
            _prune(item, items or _KEEP_ALL, f"{path}[{index}]", False, dropped)
        return
    if not isinstance(value, dict):
        return
    resource = resource or bool(schema.get("x-kubernetes-embedded-resource"))
    properties = schema.get("properties") or {}
    rest = schema.get("additionalProperties")
    keep = bool(schema.get("x-kubernetes-preserve-unknown-fields"))
    for name in list(value):
        below = f"{path}.{name}" if path else name
        if resource and name in _ENVELOPE:
            continue
        if name in properties:
            _prune(value[name], properties[name], below, False, dropped)
        elif isinstance(rest, dict):
            _prune(value[name], rest, below, False, dropped)
        elif not keep and not rest:
            del value[name]
            dropped.append(below)
