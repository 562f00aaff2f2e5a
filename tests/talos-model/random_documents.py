"""Random documents and patches, drawn from the engine's own model of Talos's configurations.

Every value is of its field's type most of the time, so that what is drawn gets deep into merging and
judging. Deterministic by its seed. Neighbour: `test_differential` asks Talos's library about them.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Sequence
from typing import Any, Final

import yaml

from engine.machineconfig.model import (
    V1ALPHA1,
    AnyType,
    ListType,
    MapType,
    PointerType,
    StructType,
    Type,
    model,
)

_SAMPLES: Final[dict[str, list[Any]]] = {
    "string": ["a", "b", "x-y", "", "1", "yes", "~x"],
    "bool": [True, False],
    "int": [0, 1, 5, -1],
    "bytes": ["YQ==", ""],
    "time.Duration": ["1s", "2m0s", "90s", "0s"],
    "v1alpha1.Base64Bytes": ["YQ==", "YmI=", ""],
    "v1alpha1.FileMode": [420, 384],
    "v1alpha1.ArgValue": ["v", "", 1, True, ["p", "q"], None],
    "v1alpha1.DiskSize": ["100MB", "1GiB", 12345],
    "v1alpha1.InstallDiskSizeMatcher": [">= 10GB", "5GB", ""],
    "v1alpha1.InstallDiskType": ["ssd", "hdd", "nvme", "sd"],
    "v1alpha1.Endpoint": ["https://a:6443", "https://b/x?y=1", "http://c", ""],
    "meta.URL": ["https://a:6443", "tcp://b:1/x", "https://c/?jointoken=q", ""],
    "block.ByteSize": ["10GB", "5GiB", "1024"],
    "block.Size": ["10GB", "50%", "1GiB"],
    "cel.Expression": ["system_disk", "disk.size > 5u * GB", "!system_disk"],
    "network.PortRange": [80, "100-200", "7-7"],
    "nethelpers.HardwareAddr": ["aa:bb:cc:00:11:22", "AA:BB:CC:00:11:22", ""],
    "netip.Addr": ["10.0.0.1", "fd00::1"],
    "netip.AddrPort": ["10.0.0.1:53", "[fd00::1]:53"],
    "netip.Prefix": ["10.0.0.0/8", "10.0.0.1/24"],
    "network.Addr": ["10.0.0.1", "fd00::1"],
    "network.AddrPort": ["10.0.0.1:53"],
    "network.Prefix": ["10.0.0.0/8"],
}
_WHOLE_NUMBERS: Final = [0, 3, 9]
_ANYTHING: Final = ({"a": 1}, {"a": {"b": "x"}}, {"l": [1, 2]}, {"a": True, "z": "t"}, {"a": "", "n": 0})
_NAMES: Final = {
    "BlackholeRouteConfig": "10.0.0.0/8",
    "HCloudVIPConfig": "10.0.0.1",
    "Layer2VIPConfig": "10.0.0.1",
    "RoutingRuleConfig": "1000",
    "StaticHostConfig": "10.0.0.1",
    "VolumeConfig": "EPHEMERAL",
}
_INSTEAD: Final = ({"$patch": "delete"}, {"$patch": "delete"}, None, [], {}, "", 0)

KINDS: Final = tuple(kind for kind in model().raw["documents"] if kind != V1ALPHA1)


class Draw:
    """One sequence of draws."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self._words = {name.rsplit(".", 1)[-1]: words for name, words in model().raw["enumerations"].items()}

    def document(self, kind: str, density: float) -> dict[str, Any]:
        """A document of that kind that has a share of its fields."""
        drawn = self._value(_struct(kind), density, 0)
        for key in ("apiVersion", "kind", "name", "version", "persist", "debug"):
            drawn.pop(key, None)
        if kind == V1ALPHA1:
            return {"version": "v1alpha1", **drawn}
        named = {"name": _NAMES.get(kind, "probe")} if "name" in _struct(kind).fields else {}
        return {"apiVersion": "v1alpha1", "kind": kind, **named, **drawn}

    def changed(self, document: dict[str, Any]) -> dict[str, Any]:
        """The same with something else in one place: a deletion, nothing, or a value of another type."""
        changed = copy.deepcopy(document)
        places = [
            place
            for place in _places(changed, ())
            if place[0] not in ("apiVersion", "kind", "name", "version")
        ]
        if places:
            place = self.random.choice(places)
            parent: Any = changed
            for key in place[:-1]:
                parent = parent[key]
            parent[place[-1]] = copy.deepcopy(self.random.choice(_INSTEAD))
        return changed

    def _value(self, kind: Type, density: float, depth: int) -> Any:
        if isinstance(kind, PointerType):
            return self._value(kind.target, density, depth)
        if isinstance(kind, AnyType):
            return copy.deepcopy(self.random.choice(_ANYTHING))
        if isinstance(kind, ListType):
            count = self.random.choice((0, 1, 1, 2))
            return [self._value(kind.item, density, depth + 1) for _ in range(count)]
        if isinstance(kind, MapType):
            keys = self.random.sample(("a", "b", "c.d"), self.random.choice((0, 1, 2)))
            return {key: self._entry(kind.item, density, depth) for key in keys}
        if isinstance(kind, StructType):
            share = density * (1 if depth < 2 else 0.8)
            chosen = [field for field in kind.fields.values() if self.random.random() < share]
            return {field.key: self._value(field.type, density, depth + 1) for field in chosen}
        words: Sequence[Any] = self._words.get(kind.name, ())[:8] or _SAMPLES.get(kind.name, _WHOLE_NUMBERS)
        return self.random.choice(words)

    def _entry(self, kind: Type, density: float, depth: int) -> Any:
        return None if self.random.random() < 0.08 else self._value(kind, density, depth + 1)


def written(*documents: dict[str, Any]) -> str:
    """The documents as one YAML text."""
    return "---\n".join(yaml.safe_dump(document, sort_keys=False) for document in documents)


def _struct(kind: str) -> StructType:
    found = model().document(kind)
    assert isinstance(found, StructType)
    return found


def _places(value: Any, path: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = []
    if isinstance(value, dict):
        for key, item in value.items():
            found += [(*path, key), *_places(item, (*path, key))]
    elif isinstance(value, list):
        for index, item in enumerate(value):
            found += _places(item, (*path, index))
    return found
