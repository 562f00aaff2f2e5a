"""Server-side apply: merge what a manager applies, let go what it no longer applies, find conflicts.

Follows structured-merge-diff: granular maps and map lists merge, sets unite, everything else is
atomic; a field that others own with another value is a conflict unless forced. Pure: neither
stores nor validates. Neighbours: `ownership` for the sets, `objects` calls it.
"""

from __future__ import annotations

import copy
import json
from typing import Any

from engine.standalone import failures
from engine.standalone.failures import ApiFailure, Cause
from engine.standalone.kinds import Served
from engine.standalone.ownership import (
    Claim,
    Owner,
    Path,
    Paths,
    differing,
    dotted,
    item_element,
    leaves,
    read_claims,
    written,
)
from engine.standalone.schema import Schema


def apply_config(
    served: Served, live: dict[str, Any], config: dict[str, Any], owner: Owner, *, force: bool, now: str
) -> dict[str, Any]:
    """The object after `owner` applied `config`, with managedFields. Raises 409 naming the conflicts."""
    claims = read_claims(live.get("metadata", {}).get("managedFields"))
    wanted = frozenset(leaves(config, served.schema))
    merged: dict[str, Any] = copy.deepcopy(_merge(live, config, served.schema))
    before = leaves(live, served.schema)
    changed = differing(before, leaves(merged, served.schema))
    others = {who: claim for who, claim in claims.items() if who != owner}
    clashes = {who: claim.paths & changed for who, claim in others.items() if claim.paths & changed}
    if clashes and not force:
        raise _conflicts(clashes)
    others = {who: Claim(claim.time, claim.paths - changed) for who, claim in others.items()}
    mine = claims.get(owner)
    if mine:
        dropped = mine.paths - wanted
        kept = [path for claim in others.values() for path in claim.paths]
        free = frozenset(
            path for path in dropped if not _covers(path, kept) and not _covers(path, list(wanted))
        )
        _remove(merged, served.schema, free, ())
    after = leaves(merged, served.schema)
    if not mine or mine.paths != wanted or after != before:
        others = {who: Claim(claim.time, _still_there(claim.paths, after)) for who, claim in others.items()}
        mine = Claim(now, wanted)
    merged["metadata"]["managedFields"] = written({**others, owner: mine})
    return merged


def undeclared_fields(value: Any, schema: Schema, path: str = "") -> list[str]:
    """Paths of applied fields the schema does not name; apply refuses them whatever the field validation."""
    found = []
    if isinstance(value, dict):
        properties = schema.get("properties") or {}
        rest = schema.get("additionalProperties")
        for name, member in value.items():
            part = properties.get(name, rest)
            if isinstance(part, dict):
                found += undeclared_fields(member, part, f"{path}.{name}")
            elif not rest and not schema.get("x-kubernetes-preserve-unknown-fields"):
                found.append(f"{path}.{name}")
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        for index, item in enumerate(value):
            found += undeclared_fields(item, schema["items"], f"{path}[{index}]")
    return found


def _covers(path: Path, owned: list[Path]) -> bool:
    return any(other[: len(path)] == path for other in owned)


def _still_there(paths: Paths, after: dict[Path, Any]) -> Paths:
    prefixes = {path[:length] for path in after for length in range(1, len(path) + 1)}
    return frozenset(path for path in paths if path in prefixes)


def _merge(live: Any, config: Any, schema: Schema) -> Any:
    if isinstance(live, dict) and isinstance(config, dict):
        if schema.get("x-kubernetes-map-type") == "atomic":
            return config
        properties = schema.get("properties") or {}
        rest = schema.get("additionalProperties")
        merged = dict(live)
        for name, member in config.items():
            part = properties.get(name, rest)
            merged[name] = _merge(live.get(name), member, part if isinstance(part, dict) else {})
        return merged
    kind = schema.get("x-kubernetes-list-type")
    if isinstance(live, list) and isinstance(config, list) and kind in ("map", "set"):
        return _merge_items(live, config, schema)
    return config


def _merge_items(live: list[Any], config: list[Any], schema: Schema) -> list[Any]:
    keyed = schema.get("x-kubernetes-list-type") == "map"

    def key(item: Any) -> str:
        return item_element(item, schema) if keyed else json.dumps(item)

    new = {key(item): item for item in config}
    old = {key(item): item for item in live}
    merged = [
        _merge(item, new[name], schema.get("items") or {}) if name in new else item
        for name, item in old.items()
    ]
    return merged + [item for name, item in new.items() if name not in old]


def _remove(value: Any, schema: Schema, free: Paths, path: Path) -> None:
    heads = {one[len(path)] for one in free if len(one) > len(path) and one[: len(path)] == path}
    if not heads:
        return
    if isinstance(value, dict):
        properties = schema.get("properties") or {}
        rest = schema.get("additionalProperties")
        for name in list(value):
            below = (*path, f"f:{name}")
            if f"f:{name}" not in heads:
                continue
            part = properties.get(name, rest)
            if below not in free:
                _remove(value[name], part if isinstance(part, dict) else {}, free, below)
            if below in free or value[name] in ({}, []):
                del value[name]
    elif isinstance(value, list):
        _remove_items(value, schema, free, path)


def _remove_items(value: list[Any], schema: Schema, free: Paths, path: Path) -> None:
    keyed = schema.get("x-kubernetes-list-type") == "map"
    kept = []
    for item in value:
        below = (*path, item_element(item, schema) if keyed else f"v:{json.dumps(item)}")
        if below in free:
            continue
        _remove(item, schema.get("items") or {}, free, below)
        kept.append(item)
    value[:] = kept


def _conflicts(clashes: dict[Owner, Paths]) -> ApiFailure:
    causes = []
    for owner, paths in sorted(clashes.items()):
        using = f' with subresource "{owner.subresource}"' if owner.subresource else ""
        if owner.operation == "Update":
            using += f" using {owner.api_version}"
        for path in sorted(paths):
            text = f'conflict with "{owner.manager}"{using}'
            causes.append(Cause(failures.MANAGER_CONFLICT, dotted(path), text))
    lines = ", ".join(f"{cause.message}: {cause.field}" for cause in causes)
    noun = "conflict" if len(causes) == 1 else "conflicts"
    return ApiFailure(
        409,
        "Conflict",
        f"Apply failed with {len(causes)} {noun}: {lines}",
        {"causes": failures.cause_list(causes)},
    )
