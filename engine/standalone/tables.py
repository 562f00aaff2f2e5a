"""Tables, as kubectl asks for them: columns from the kind's printer columns, one row per object.

JSONPath here is the part that printer columns use: fields, indexes, `[*]` and equality filters.
Pure. Neighbours: `api` for lists and gets, and for watch events.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from engine.standalone.kinds import Served

_STEP = re.compile(
    r"\.([A-Za-z0-9_\-]+)|\['([^']+)'\]|\[(\d+|\*)\]|\[\?\(@\.([\w.]+)\s*==\s*['\"]([^'\"]*)['\"]\)\]"
)


def table(
    served: Served,
    values: Sequence[Mapping[str, Any]],
    metadata: Mapping[str, Any],
    *,
    include: str,
    now: float,
    head: bool = True,
) -> dict[str, Any]:
    """A meta.k8s.io/v1 Table. `include` is Metadata, Object or None; `now` seconds since the epoch, for ages."""
    body: dict[str, Any] = {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": dict(metadata)}
    body["columnDefinitions"] = _columns(served) if head else None
    body["rows"] = [_row(served, value, include, now) for value in values]
    return body


def _columns(served: Served) -> list[dict[str, Any]]:
    name = {
        "name": "Name",
        "type": "string",
        "format": "name",
        "priority": 0,
        "description": "Name of the object.",
    }
    columns = [
        {
            "name": column["name"],
            "type": column["type"] if column["type"] != "date" else "string",
            "format": column.get("format", ""),
            "description": column.get("description", f"Value of {column['jsonPath']}."),
            "priority": column.get("priority", 0),
        }
        for column in served.columns
    ]
    return columns if _nameless(served) else [name, *columns]


def _nameless(served: Served) -> bool:
    return served.ttl_s is not None


def _row(served: Served, value: Mapping[str, Any], include: str, now: float) -> dict[str, Any]:
    cells = [] if _nameless(served) else [value["metadata"]["name"]]
    row: dict[str, Any] = {"cells": cells + [_cell(column, value, now) for column in served.columns]}
    if include == "Object":
        row["object"] = value
    elif include != "None":
        row["object"] = partial(value)
    return row


def partial(value: Mapping[str, Any]) -> dict[str, Any]:
    """The object as PartialObjectMetadata."""
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": value["metadata"]}


def _cell(column: Mapping[str, Any], value: Any, now: float) -> Any:
    found = find(value, column["jsonPath"])
    if "otherwise" in column and found in ([], [None]):
        found = find(value, column["otherwise"])
    if column.get("count"):
        return len(found[0] or ()) if found else 0
    if "join" in column:
        return "/".join(str(part).lower() for part in (*found, *find(value, column["join"])))
    if not found:
        return "<unknown>" if column["type"] == "date" else None
    if column["type"] == "date":
        return age(found[0], now)
    if column["type"] in ("integer", "number", "boolean"):
        return found[0]
    if len(found) > 1:
        return json.dumps(found, separators=(",", ":"))
    return found[0] if isinstance(found[0], str) else json.dumps(found[0], separators=(",", ":"))


def find(value: Any, path: str) -> list[Any]:
    """Every value at a JSONPath such as `.status.conditions[?(@.type=="Ready")].status`."""
    found = [value]
    for name, quoted, index, field, wanted in _STEP.findall(path.replace("\\.", "\x00")):
        key = (name or quoted).replace("\x00", ".")
        found = [member for one in found for member in _step(one, key, index, field, wanted)]
    return found


def _step(value: Any, key: str, index: str, field: str, wanted: str) -> list[Any]:
    if key:
        return [value[key]] if isinstance(value, Mapping) and key in value else []
    if not isinstance(value, list):
        return list(value.values()) if index == "*" and isinstance(value, Mapping) else []
    if field:
        return [item for item in value if str((find(item, f".{field}") or [None])[0]) == wanted]
    if index == "*":
        return list(value)
    return value[int(index) : int(index) + 1]


def age(moment: Any, now: float) -> str:
    """How long ago an RFC 3339 time was, as kubectl prints it."""
    try:
        seconds = int(now - datetime.fromisoformat(moment).timestamp())
    except (TypeError, ValueError):
        return "<unknown>"
    if seconds < 0:
        return "0s" if seconds > -5 else "<invalid>"
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if seconds < 120:
        return f"{seconds}s"
    if minutes < 10:
        return f"{minutes}m{seconds % 60}s" if seconds % 60 else f"{minutes}m"
    if hours < 3:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return f"{days}d{hours % 24}h" if hours % 24 else f"{days}d"
    if days < 730:
        return f"{days}d"
    return f"{days // 365}y{days % 365}d" if days < 2920 and days % 365 else f"{days // 365}y"
