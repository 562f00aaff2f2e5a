"""What the checks of a configuration share: the problem, the situation, a few readers.

Never decides anything itself. Neighbours: `validate` and the `checks_*` modules.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from engine.machineconfig.config import Config


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding; a warning does not keep Talos from applying."""

    path: str
    message: str
    warning: bool = False

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


@dataclass(frozen=True, slots=True)
class Situation:
    """What a check looks at: the configuration and the platform mode."""

    config: Config
    mode: str

    @property
    def machine(self) -> Mapping[str, Any]:
        """The `machine` section."""
        return section(self.config.main, "machine")

    @property
    def cluster(self) -> Mapping[str, Any]:
        """The `cluster` section."""
        return section(self.config.main, "cluster")

    @property
    def control_plane(self) -> bool:
        """Whether the machine runs a control plane; anything unknown counts as a worker."""
        return self.machine.get("type") in ("controlplane", "init")


Check: TypeAlias = Callable[[Situation], Iterable[Problem]]


def section(value: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    """The mapping below `keys`; empty when any of them is not there."""
    for key in keys:
        found = value.get(key)
        value = found if isinstance(found, Mapping) else {}
    return value


def is_address(text: Any) -> bool:
    """Whether a text is an IP address."""
    try:
        ipaddress.ip_address(str(text))
    except ValueError:
        return False
    return True


def is_subnet(text: Any) -> bool:
    """Whether a text is an address or a network, with or without a `!` before it."""
    plain = str(text).removeprefix("!")
    return is_address(plain) or is_network(plain)


def is_network(text: Any) -> bool:
    """Whether a text is an address with a prefix length."""
    try:
        ipaddress.ip_interface(str(text))
    except ValueError:
        return False
    return "/" in str(text)
