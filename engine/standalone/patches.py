"""The patch formats: JSON patch (RFC 6902), merge patch (RFC 7386) and, for core kinds, strategic merge.

Pure; the object given is never changed. A patch that does not fit raises 400 or 422.
Neighbours: `objects` calls it.
"""

from __future__ import annotations

import copy
from typing import Any

from engine.standalone.failures import ApiFailure, bad_request
from engine.standalone.schema import Schema

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


def strategic_patch(target: Any, patch: Any, schema: Schema) -> Any:
    """Merge patch in which lists declared as map or set merge, with `$patch` and `$deleteFromPrimitiveList`."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    if patch.get("$patch") == "replace":
        return {name: value for name, value in patch.items() if name != "$patch"}
    merged = dict(target) if isinstance(target, dict) else {}
    properties = schema.get("properties") or {}
    rest = schema.get("additionalProperties")
    for name, value in patch.items():
        if name.startswith("$deleteFromPrimitiveList/"):
            field = name.partition("/")[2]
            merged[field] = [item for item in merged.get(field) or () if item not in value]
        elif name.startswith("$"):
            continue
        elif value is None:
            merged.pop(name, None)
        else:
            part = properties.get(name, rest)
            below = part if isinstance(part, dict) else {}
            old = merged.get(name)
            merged[name] = (
                _strategic_list(old if isinstance(old, list) else [], value, below)
                if isinstance(value, list)
                else strategic_patch(old, value, below)
            )
    return merged


def _strategic_list(old: list[Any], new: list[Any], schema: Schema) -> list[Any]:
    kind = schema.get("x-kubernetes-list-type")
    if kind == "set":
        return old + [item for item in new if item not in old]
    if kind != "map":
        return copy.deepcopy(new)
    keys = schema["x-kubernetes-list-map-keys"]
    merged = list(old)
    for item in new:
        same = [
            index for index, one in enumerate(merged) if all(one.get(key) == item.get(key) for key in keys)
        ]
        if item.get("$patch") == "delete":
            merged = [one for index, one in enumerate(merged) if index not in same]
        elif same:
            merged[same[0]] = strategic_patch(merged[same[0]], item, schema.get("items") or {})
        else:
            merged.append(copy.deepcopy(item))
    return merged


def json_patch(target: Any, operations: Any) -> Any:
    """RFC 6902; all operations or none."""
    if not isinstance(operations, list):
        raise bad_request("a JSON patch is a list of operations")
    root = {"": copy.deepcopy(target)}
    for operation in operations:
        if not isinstance(operation, dict) or "op" not in operation or "path" not in operation:
            raise bad_request("each operation of a JSON patch needs op and path")
        _operate(root, operation)
    return root[""]


def _operate(root: dict[str, Any], operation: dict[str, Any]) -> None:
    name, path = operation["op"], operation["path"]
    if name in ("add", "replace", "test") and "value" not in operation:
        raise bad_request(f"JSON patch operation {name} {path} needs a value")
    if name == "add":
        _add(root, path, copy.deepcopy(operation["value"]))
    elif name == "remove":
        _take(root, path)
    elif name == "replace":
        _take(root, path)
        _add(root, path, copy.deepcopy(operation["value"]))
    elif name == "move":
        _add(root, path, _take(root, operation.get("from", "")))
    elif name == "copy":
        _add(root, path, copy.deepcopy(_value(root, operation.get("from", ""))))
    elif name == "test":
        if _value(root, path) != operation["value"]:
            raise _unfit(f"testing value {path} failed")
    else:
        raise bad_request(f"unknown JSON patch operation {name!r}")


def _parts(path: str) -> list[str]:
    if path and not path.startswith("/"):
        raise bad_request(f"JSON pointer {path!r} does not begin with /")
    return [part.replace("~1", "/").replace("~0", "~") for part in ("" + path).split("/")]


def _parent(root: dict[str, Any], path: str) -> tuple[Any, str]:
    parts = _parts(path)
    node: Any = root
    for part in parts[:-1]:
        node = _member(node, part, path)
    return node, parts[-1]


def _value(root: dict[str, Any], path: str) -> Any:
    node, last = _parent(root, path)
    return _member(node, last, path)


def _member(node: Any, part: str, path: str) -> Any:
    if isinstance(node, dict) and part in node:
        return node[part]
    if isinstance(node, list) and part.isdigit() and int(part) < len(node):
        return node[int(part)]
    raise _unfit(f"nothing is at {path}")


def _add(root: dict[str, Any], path: str, value: Any) -> None:
    node, last = _parent(root, path)
    if isinstance(node, dict):
        node[last] = value
    elif isinstance(node, list) and (last == "-" or (last.isdigit() and int(last) <= len(node))):
        node.insert(len(node) if last == "-" else int(last), value)
    else:
        raise _unfit(f"nothing can be added at {path}")


def _take(root: dict[str, Any], path: str) -> Any:
    node, last = _parent(root, path)
    value = _member(node, last, path)
    if isinstance(node, list):
        node.pop(int(last))
    else:
        del node[last]
    return value


def _unfit(why: str) -> ApiFailure:
    return ApiFailure(
        422, "Invalid", f"the server rejected our request due to an error in our request: {why}"
    )
