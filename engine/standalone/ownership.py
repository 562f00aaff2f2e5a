"""Who owns which field: metadata.managedFields as sets of paths.

A path is a tuple of FieldsV1 elements (`f:name`, `k:{...}` for an item of a map list, `v:...` for a member of
a set); what it covers is decided by the schema's list and map types. Never stores, never
refuses. Neighbours: `apply` decides conflicts with it, `objects` tracks plain updates.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from engine.standalone.kinds import Served
from engine.standalone.schema import Schema
from engine.standalone.schema.correlation import item_key

Path = tuple[str, ...]
Paths = frozenset[Path]
_UNOWNED = {
    ("f:apiVersion",),
    ("f:kind",),
    *(("f:metadata", f"f:{name}") for name in ("name", "namespace", "uid", "resourceVersion", "generation")),
    *(("f:metadata", f"f:{name}") for name in ("creationTimestamp", "deletionTimestamp", "managedFields")),
    *(("f:metadata", f"f:{name}") for name in ("selfLink", "generateName", "deletionGracePeriodSeconds")),
}


@dataclass(frozen=True, slots=True, order=True)
class Owner:
    """One writer as managedFields tells them apart; `operation` is Apply or Update."""

    operation: str
    manager: str
    api_version: str
    subresource: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """The fields of one owner and when it last changed them (RFC 3339)."""

    time: str
    paths: Paths


Claims = dict[Owner, Claim]


def leaves(value: dict[str, Any], schema: Schema) -> dict[Path, Any]:
    """Every ownable path of an object with the value it covers."""
    found = dict(_walk(value, schema, ()))
    return {
        path: leaf
        for path, leaf in found.items()
        if path[:2] not in _UNOWNED and path not in _UNOWNED and path
    }


def _walk(value: Any, schema: Schema, path: Path) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, dict) and value and schema.get("x-kubernetes-map-type") != "atomic":
        properties = schema.get("properties") or {}
        rest = schema.get("additionalProperties")
        for name, member in value.items():
            part = properties.get(name, rest)
            yield from _walk(member, part if isinstance(part, dict) else {}, (*path, f"f:{name}"))
        return
    kind = schema.get("x-kubernetes-list-type") if isinstance(value, list) and value else None
    if kind == "map":
        for item in value:
            below = (*path, item_element(item, schema))
            yield below, None
            yield from _walk(item, schema.get("items") or {}, below)
    elif kind == "set":
        for item in value:
            yield (*path, f"v:{json.dumps(item)}"), item
    else:
        yield path, value


def item_element(item: Any, schema: Schema) -> str:
    """The path element of one item of a map list."""
    return f"k:{item_key(item, schema)}" if isinstance(item, dict) else f"v:{json.dumps(item)}"


def differing(before: dict[Path, Any], after: dict[Path, Any]) -> Paths:
    """Paths that are new in `after` or have another value there."""
    return frozenset(path for path, leaf in after.items() if path not in before or before[path] != leaf)


def read_claims(managed: Any) -> Claims:
    """Claims of a managedFields list; entries that are not FieldsV1 are ignored."""
    claims: Claims = {}
    for entry in managed or ():
        if isinstance(entry, dict) and isinstance(entry.get("fieldsV1"), dict):
            owner = Owner(
                entry.get("operation", "Update"),
                entry.get("manager", "unknown"),
                entry.get("apiVersion", ""),
                entry.get("subresource", ""),
            )
            claims[owner] = Claim(entry.get("time", ""), frozenset(_read_paths(entry["fieldsV1"], ())))
    return claims


def written(claims: Claims) -> list[dict[str, Any]]:
    """Claims as managedFields; owners of nothing are left out."""
    entries = []
    for owner, claim in sorted(claims.items(), key=lambda pair: (pair[0].operation, pair[1].time, pair[0])):
        if not claim.paths:
            continue
        entry: dict[str, Any] = {"manager": owner.manager, "operation": owner.operation}
        entry |= {"apiVersion": owner.api_version, "time": claim.time, "fieldsType": "FieldsV1"}
        entry["fieldsV1"] = _nested(claim.paths)
        if owner.subresource:
            entry["subresource"] = owner.subresource
        entries.append(entry)
    return entries


def after_update(
    served: Served, old: dict[str, Any] | None, new: dict[str, Any], owner: Owner, now: str
) -> None:
    """Give `owner` what a plain write changed, take it from the others; writes new's managedFields."""
    before = leaves(old, served.schema) if old else {}
    after = leaves(new, served.schema)
    claims = read_claims((old or {}).get("metadata", {}).get("managedFields"))
    changed = differing(before, after)
    lost = changed | (before.keys() - after.keys())
    if new["metadata"].get("managedFields", True) in ([], [{}]):
        claims = {}
    if lost or not old:
        mine = claims.get(owner, Claim(now, frozenset())).paths
        claims = {who: Claim(claim.time, claim.paths - lost) for who, claim in claims.items()}
        claims[owner] = Claim(now, (mine - lost) | changed)
    new["metadata"].pop("managedFields", None)
    entries = written(claims)
    if entries:
        new["metadata"]["managedFields"] = entries


def _read_paths(node: dict[str, Any], path: Path) -> Iterator[Path]:
    for element, below in node.items():
        if element == ".":
            yield path
        elif not below:
            yield (*path, element)
        else:
            yield from _read_paths(below, (*path, element))


def _nested(paths: Paths) -> dict[str, Any]:
    root: dict[str, Any] = {}
    for path in sorted(paths):
        node = root
        for element in path:
            node = node.setdefault(element, {})
    for path in paths:
        node = root
        for element in path:
            node = node[element]
        if node:
            node["."] = {}
    return root


def dotted(path: Path) -> str:
    """A path as conflict messages show it, such as `.spec.list[name="x"].field`."""
    text = ""
    for element in path:
        kind, _, rest = element.partition(":")
        if kind == "f":
            text += f".{rest}"
        elif kind == "k":
            text += (
                "[" + ",".join(f"{key}={json.dumps(value)}" for key, value in json.loads(rest).items()) + "]"
            )
        else:
            text += f"[={rest}]"
    return text
