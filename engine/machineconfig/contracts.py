"""Which features a generated configuration has, by version contract; data in schemas/talos/contracts.yaml.

Never looks at a configuration. Neighbour: `generate` asks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

from engine.base.assets import asset
from engine.machineconfig.errors import ConfigError
from engine.machineconfig.nodes import parse, to_value

Version: TypeAlias = tuple[int, int]
_TEXT = re.compile(r"v?(\d+)\.(\d+)(?:\.|$)")


@dataclass(frozen=True, slots=True)
class Contract:
    """One version contract, such as (1, 12)."""

    version: Version

    @property
    def shown(self) -> str:
        """`1.12`."""
        return ".".join(map(str, self.version))

    def has(self, feature: str) -> bool:
        """Whether a configuration of this contract has the feature. Raises KeyError for an unknown one."""
        bounds = _table()["features"][feature]
        low, high = bounds.get("from"), bounds.get("until")
        return (low is None or self.version >= _version(low)) and (
            high is None or self.version <= _version(high)
        )


def contract(version: str, *, ahead: bool = False) -> Contract:
    """The contract of a Talos version (`v1.12.3`, `1.12`; "" is the newest, and so is anything above it).

    `ahead`: the one that has no release yet is taken by its name. Raises ConfigError for a text that is no version, or a version older than the oldest contract.
    """
    oldest, newest = _version(_table()["oldest"]), _version(_table()["newest"])
    wanted = parse_version(version) if version else newest
    if wanted < oldest:
        message = f"Talos before {_table()['oldest']} is not supported"
        raise ConfigError("Unsupported", message, path="version")
    return Contract(wanted if ahead and wanted == _version(_table()["ahead"]) else min(wanted, newest))


def older(version: str, other: str) -> str:
    """The one of two Talos versions whose contract is older; one that is empty does not count.

    Raises ConfigError for a text that is no version.
    """
    if not version or not other:
        return version or other
    return version if parse_version(version) <= parse_version(other) else other


def parse_version(version: str) -> Version:
    """(major, minor) of a Talos version. Raises ConfigError for a text that is none."""
    found = _TEXT.match(version)
    if not found:
        message = "not a Talos version such as v1.12.3"
        raise ConfigError("InvalidValue", message, path="version")
    return int(found[1]), int(found[2])


def _version(text: str) -> Version:
    major, minor = text.split(".")
    return int(major), int(minor)


@cache
def _table() -> Mapping[str, Any]:
    (node,) = parse(asset("schemas", "talos", "contracts.yaml").read_text(encoding="utf-8"))
    table: Mapping[str, Any] = to_value(node)
    return table
