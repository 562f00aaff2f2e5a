"""Fills in schema defaults and drops nulls that the schema does not allow.

A null where the schema is not nullable becomes the default, or goes away when there is none;
validation then sees the field as absent (kube-apiserver 1.20 and later). Never validates.
"""

from __future__ import annotations

import copy
from typing import Any

from engine.standalone.schema import Schema


def apply_defaults(value: Any, schema: Schema) -> None:
    """Change `value`, an object or a list, in place."""
    if isinstance(value, dict):
        _default_object(value, schema)
    elif isinstance(value, list):
        items = schema.get("items")
        if items:
            for item in value:
                apply_defaults(item, items)


def _default_object(value: dict[str, Any], schema: Schema) -> None:
    properties = schema.get("properties") or {}
    for name, part in properties.items():
        if "default" in part and (name not in value or _stray_null(value[name], part)):
            value[name] = copy.deepcopy(part["default"])
    rest = schema.get("additionalProperties")
    for name in list(value):
        part = properties.get(name, rest)
        if not isinstance(part, dict):
            continue
        if _stray_null(value[name], part):
            del value[name]
        else:
            apply_defaults(value[name], part)


def _stray_null(value: Any, schema: Schema) -> bool:
    return value is None and not schema.get("nullable", False)
