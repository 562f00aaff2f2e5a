"""Strategic merge of typed values (talos-api 4.6; talos-config-rules 17 to 25).

Never changes its inputs. Raises ConfigError (MergeConflict) naming the path. Neighbours: `decode`
gives both sides, `patch` decides which documents meet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.machineconfig.decode import join
from engine.machineconfig.errors import ConfigError
from engine.machineconfig.model import AnyType, Field, ListType, MapType, PointerType, StructType, Type
from engine.machineconfig.nodes import Plain
from engine.machineconfig.scalars import ScalarType


def refuse_dates(kind: Type, value: Any, path: str = "") -> None:
    """Raises ConfigError for a date without quotes in a part of no known type: Talos cannot copy one, which it
    does before it merges (talos-config-rules 23).
    """
    if isinstance(kind, PointerType) and value is not None:
        refuse_dates(kind.target, value, path)
    elif isinstance(kind, StructType):
        for key, item in value.items():
            refuse_dates(kind.fields[key].type, item, join(path, key))
    elif isinstance(kind, AnyType | MapType) and isinstance(value, dict):
        for key, item in value.items():
            refuse_dates(kind.item if isinstance(kind, MapType) else kind, item, join(path, key))
    elif isinstance(kind, ListType) or (isinstance(kind, AnyType) and isinstance(value, list)):
        for index, item in enumerate(value):
            refuse_dates(kind.item if isinstance(kind, ListType) else kind, item, f"{path}[{index}]")
    elif isinstance(kind, AnyType) and isinstance(value, Plain):
        raise ConfigError("MergeConflict", "a date without quotes cannot be merged; quote it", path=path)


def merge(kind: Type, left: Any, right: Any, path: str = "") -> Any:
    """`right` over `left`, both set."""
    if isinstance(kind, PointerType):
        return merge(kind.target, left, right, path)
    if isinstance(kind, ScalarType):
        return kind.merge(left, right) if kind.merge else right
    if isinstance(kind, StructType):
        return _structs(kind, left, right, path)
    if isinstance(kind, ListType):
        return _lists(kind, left, right, path)
    if isinstance(kind, MapType):
        return _maps(kind, left, right, path)
    return _anything(left, right, path)


def _structs(kind: StructType, left: dict[str, Any], right: dict[str, Any], path: str) -> dict[str, Any]:
    merged = dict(left)
    for key, field in kind.fields.items():
        if key in right:
            merged[key] = _field(field, left, right, join(path, key))
        elif isinstance(field.type, ScalarType) and field.type.overwrite == "always":
            merged.pop(key, None)
        elif key in left and isinstance(field.type, StructType):
            merged[key] = _structs(field.type, left[key], {}, join(path, key))
    return merged


def _field(field: Field, left: dict[str, Any], right: dict[str, Any], path: str) -> Any:
    if field.key not in left:
        # Items of one patch that share a key meet each other too.
        fresh = isinstance(field.type, ListType) and field.type.key and not field.type.apart
        return merge(field.type, [], right[field.key], path) if fresh else right[field.key]
    if field.replace:
        # An empty list replaces, an empty mapping does not (talos-config-rules 17).
        keep = isinstance(field.type, AnyType) and not right[field.key]
        return left[field.key] if keep else right[field.key]
    return merge(field.type, left[field.key], right[field.key], path)


def _maps(kind: MapType, left: dict[str, Any], right: dict[str, Any], path: str) -> dict[str, Any]:
    merged = dict(left)
    for key, item in right.items():
        known = left.get(key)
        if known is None:
            merged[key] = item
        elif not _gives_way(kind.item, item):
            merged[key] = merge(kind.item, known, item, join(path, key))
    return merged


def _gives_way(kind: Type, value: Any) -> bool:
    if isinstance(kind, PointerType):
        return value is None
    return isinstance(kind, ScalarType) and kind.overwrite == "set" and bool(value == kind.zero)


def _lists(kind: ListType, left: list[Any], right: list[Any], path: str) -> list[Any]:
    if not kind.key:
        return [*left, *right]
    merged = list(left)
    for item in right:
        index = _last(kind, left, item) if kind.apart else _position(kind, merged, item)
        if index is None:
            merged.append(item)
        elif kind.replace:
            merged[index] = item
        else:
            merged[index] = merge(kind.item, merged[index], item, f"{path}[{index}]")
    return merged


def _position(kind: ListType, items: list[Any], wanted: dict[str, Any]) -> int | None:
    if kind.key in wanted or not kind.equal:
        return _first(items, lambda item: item.get(kind.key) == wanted.get(kind.key))
    selector = wanted.get(kind.equal)
    # Talos compares the field `physical` by address, so that such selectors never match (rule 24).
    if not selector or "physical" in selector:
        return None
    return _first(items, lambda item: item.get(kind.equal) == selector)


def _last(kind: ListType, items: list[Any], wanted: dict[str, Any]) -> int | None:
    found = [index for index, item in enumerate(items) if item.get(kind.key) == wanted.get(kind.key)]
    return found[-1] if found else None


def _first(items: list[Any], matches: Callable[[Any], bool]) -> int | None:
    return next((index for index, item in enumerate(items) if matches(item)), None)


def _anything(left: Any, right: Any, path: str) -> Any:
    """Values of no known type: mappings merge, lists append, 0 and "" give way (rule 23)."""
    if right is None:
        raise ConfigError("MergeConflict", "null cannot replace a value here; use $patch: delete", path=path)
    if type(left) is not type(right):
        message = f"a value of another type stands here already ({_name(left)}, not {_name(right)})"
        raise ConfigError("MergeConflict", message, path=path)
    if isinstance(left, Plain):
        raise ConfigError("MergeConflict", "a date without quotes cannot be merged; quote it", path=path)
    if isinstance(left, dict):
        merged = dict(left)
        for key, item in right.items():
            known = left.get(key)
            merged[key] = item if known is None else _anything(known, item, join(path, key))
        return merged
    if isinstance(left, list):
        return [*left, *right]
    return right if right or isinstance(right, bool) else left


def _name(value: Any) -> str:
    words = {dict: "a mapping", list: "a list", str: "a text", bool: "a boolean", int: "a whole number"}
    return words.get(type(value), "a number with a fraction" if isinstance(value, float) else "null")
