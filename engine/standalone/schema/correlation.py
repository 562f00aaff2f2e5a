"""Which old value stands behind a new one: by field name, and in lists by their map keys.

Atomic lists and sets have no counterpart per item, as in kube-apiserver. Also finds duplicate
entries of sets and map lists. Neighbours: `validation`, `rules`, `admission`.
"""

from __future__ import annotations

import json
from typing import Any, Final

from engine.standalone import failures
from engine.standalone.failures import Cause
from engine.standalone.schema import Schema


class _Absent:
    """Says that there is no old value, which null cannot say."""


ABSENT: Final = _Absent()


def old_member(old: Any, name: str) -> Any:
    """The old value of a field or map entry, or ABSENT."""
    return old.get(name, ABSENT) if isinstance(old, dict) else ABSENT


def old_items(value: list[Any], old: Any, schema: Schema) -> list[Any]:
    """For each item of `value` the old item with the same map keys, or ABSENT."""
    if schema.get("x-kubernetes-list-type") != "map" or not isinstance(old, list):
        return [ABSENT] * len(value)
    known = {item_key(item, schema): item for item in old if isinstance(item, dict)}
    return [known.get(item_key(item, schema), ABSENT) if isinstance(item, dict) else ABSENT for item in value]


def item_key(item: dict[str, Any], schema: Schema) -> str:
    """The map keys of a list item as canonical JSON, defaults filled in; also the `k:` part of FieldsV1."""
    properties = (schema.get("items") or {}).get("properties") or {}
    keys = {}
    for name in sorted(schema.get("x-kubernetes-list-map-keys") or ()):
        keys[name] = item.get(name, properties.get(name, {}).get("default"))
    return json.dumps(keys, separators=(",", ":"), sort_keys=True, ensure_ascii=False)


def duplicates(value: Any, schema: Schema, path: str = "") -> list[Cause]:
    """One Cause per repeated entry of a list declared as set or map, at any depth."""
    found: list[Cause] = []
    if isinstance(value, list):
        found += _repeated(value, schema, path)
        items = schema.get("items") or {}
        for index, item in enumerate(value):
            found += duplicates(item, items, f"{path}[{index}]")
    elif isinstance(value, dict):
        properties = schema.get("properties") or {}
        rest = schema.get("additionalProperties")
        for name, member in value.items():
            part = properties.get(name, rest)
            if isinstance(part, dict) and isinstance(member, (dict, list)):
                found += duplicates(member, part, f"{path}.{name}" if path else name)
    return found


def _repeated(value: list[Any], schema: Schema, path: str) -> list[Cause]:
    kind = schema.get("x-kubernetes-list-type")
    if kind not in ("set", "map"):
        return []
    seen: set[str] = set()
    found = []
    for index, item in enumerate(value):
        if kind == "map" and not isinstance(item, dict):
            continue
        key = item_key(item, schema) if kind == "map" else json.dumps(item, sort_keys=True)
        if key in seen:
            found.append(Cause(failures.DUPLICATE, f"{path}[{index}]", f"Duplicate value: {key}"))
        seen.add(key)
    return found
