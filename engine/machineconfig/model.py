"""The types of Talos's configuration documents, read from schemas/talos/config-model.json.

docs/configurations.md says how the file is made from Talos's own library; config-model-ahead.json holds what is
known of the version after it. The file names, for each document kind, its type; for each struct its fields in the order they are
written. A field's key may end in `?` (left out when empty) and `!` (a patch replaces it). A type is
a name, `*T` (may be unset), `[]T` or `{}T` (a map with text keys). Promises: types are immutable
and resolved lazily, once. Never looks at a configuration. Neighbours: `scalars` (leaf types),
`decode`, `encode`, `merge`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Final, TypeAlias

from engine.base.assets import asset
from engine.machineconfig.scalars import SCALARS, ScalarType, enumeration

V1ALPHA1: Final = "v1alpha1"


@dataclass(frozen=True, slots=True)
class AnyType:
    """A mapping of whatever shape (`extraConfig` and the like)."""


@dataclass(frozen=True, slots=True)
class PointerType:
    """A value that may be unset, which is not the same as empty."""

    target: Type


@dataclass(frozen=True, slots=True)
class MapType:
    """A mapping with text keys."""

    item: Type


@dataclass(frozen=True, slots=True)
class ListType:
    """A list; patches append unless `key` says how items find each other.

    `equal` is a second field by which items match when they have no key; `replace`: a matching
    item is replaced instead of merged; `apart`: items of one patch never match each other.
    """

    item: Type
    key: str = ""
    equal: str = ""
    replace: bool = False
    apart: bool = False


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a struct."""

    key: str
    type: Type
    omit_empty: bool
    replace: bool


class StructType:
    """A mapping with known fields. `fields` are built on first use, since types may nest in circles."""

    def __init__(self, model: Model, name: str) -> None:
        self._model = model
        self.name = name

    @cached_property
    def fields(self) -> Mapping[str, Field]:
        """Key -> field, in the order in which Talos writes them."""
        found: dict[str, Field] = {}
        for key, name in self._model.raw["structs"][self.name].items():
            plain = key.rstrip("?!")
            found[plain] = Field(plain, self._model.type(name), "?" in key, "!" in key)
        return found

    @cached_property
    def sealed(self) -> bool:
        """Whether nothing inside can be named by a `$patch: delete`."""
        return self.name in self._model.raw["sealed"]

    @cached_property
    def idle(self) -> frozenset[str]:
        """Keys whose values do not keep the mapping from being left out as empty."""
        return frozenset(self._model.raw["idle"].get(self.name, ()))


Type: TypeAlias = ScalarType | AnyType | PointerType | MapType | ListType | StructType


class Model:
    """All types of one machinery version; `later` says what the version after it has."""

    def __init__(self, raw: Mapping[str, Any], later: Mapping[str, Any]) -> None:
        self.raw = raw
        self._untyped = later["untyped"]
        self._types: dict[str, Type] = {}

    def document(self, kind: str) -> StructType | AnyType | None:
        """The type of a document kind (`v1alpha1` for the document without kind), or None.

        Kinds of Talos versions newer than the model are taken as they are: AnyType.
        """
        if self.is_untyped(kind):
            return AnyType()
        name = self.raw["documents"].get(kind)
        found = self.type(name) if name else None
        return found if isinstance(found, StructType) else None

    def is_untyped(self, kind: str) -> bool:
        """Whether a kind is known by name only."""
        return kind in self._untyped["named"] or kind in self._untyped["unnamed"]

    def is_named(self, kind: str) -> bool:
        """Whether documents of this kind are told apart by their `name`."""
        found = self.document(kind)
        if isinstance(found, StructType):
            return "name" in found.fields
        return kind in self._untyped["named"]

    def kinds(self) -> tuple[str, ...]:
        """Every document kind, `v1alpha1` included."""
        return (*self.raw["documents"], *self._untyped["named"], *self._untyped["unnamed"])

    def rivals(self, kind: str) -> tuple[str, ...]:
        """The other kinds that may not use a name which `kind` uses."""
        return tuple(self.raw["rivals"].get(kind, ()))

    def type(self, name: str) -> Type:
        """The type of that name. Raises KeyError for a name the model does not have."""
        known = self._types.get(name)
        if known is None:
            known = self._types[name] = self._build(name)
        return known

    def _build(self, name: str) -> Type:
        if name[0] == "*":
            return PointerType(self.type(name[1:]))
        if name.startswith("[]"):
            return ListType(self.type(name[2:]))
        if name in ("v1alpha1.Unstructured", "{}any"):
            return AnyType()
        if name.startswith("{}"):
            return MapType(self.type(name[2:]))
        if name in SCALARS:
            return SCALARS[name]
        if name in self.raw["enumerations"]:
            words = tuple(self.raw["enumerations"][name])
            return enumeration(name.rsplit(".", maxsplit=1)[-1], words, self.raw["aliases"].get(name, {}))
        if name == "v1alpha1.Args":
            return MapType(self.type("v1alpha1.ArgValue"))
        if name in self.raw["lists"]:
            return self._list(self.raw["lists"][name])
        if name in self.raw["structs"]:
            return StructType(self, name)
        raise KeyError(f"config-model.json has no type {name}")

    def _list(self, raw: Mapping[str, str]) -> ListType:
        return ListType(
            self.type(raw["item"]),
            raw.get("key", ""),
            raw.get("equal", ""),
            raw.get("onMatch") == "replace",
            raw.get("within") == "apart",
        )


@cache
def model(*, ahead: bool = False) -> Model:
    """The shipped model; `ahead`: with the changes that are known of the version after it."""
    raw, later = _read("config-model.json"), _read("config-model-ahead.json")
    if ahead:
        raw = {**raw, **{part: {**raw[part], **later[part]} for part in ("rivals", "structs")}}
    return Model(raw, later)


@cache
def _read(name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(asset("schemas", "talos", name).read_text(encoding="utf-8"))
    return found
