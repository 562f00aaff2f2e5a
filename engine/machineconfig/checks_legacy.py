"""Checks of the `machine.network.interfaces` parts that documents of their own have taken over: bonds and WireGuard.

Each yields problems with paths; none changes anything. Neighbours: `checks_network` calls, `checks_links` knows the keys.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from engine.machineconfig.checks import Problem, section
from engine.machineconfig.checks_links import is_wireguard_key
from engine.machineconfig.model import model

_BOND_WORDS: Final = {
    "mode": "BondMode",
    "xmitHashPolicy": "BondXmitHashPolicy",
    "lacpRate": "LACPRate",
    "arpValidate": "ARPValidate",
    "arpAllTargets": "ARPAllTargets",
    "primaryReselect": "PrimaryReselect",
    "failOverMac": "FailOverMAC",
    "adSelect": "ADSelect",
}


def bond_problems(device: Mapping[str, Any], path: str) -> Iterator[Problem]:
    """Problems of a device's `bond`; none where it has none."""
    bond = section(device, "bond")
    if bond.get("interfaces") and bond.get("deviceSelectors"):
        yield Problem(f"{path}.bond", "interfaces and deviceSelectors exclude each other")
    for key, name in _BOND_WORDS.items():
        words = model().raw["enumerations"][f"nethelpers.{name}"]
        if bond.get(key) and bond[key] not in words:
            yield Problem(f"{path}.bond.{key}", f"not one of {', '.join(words)}")


def wireguard_problems(device: Mapping[str, Any], path: str) -> Iterator[Problem]:
    """Problems of a device's `wireguard`; none where it has none."""
    wireguard = device.get("wireguard")
    if wireguard is None:
        return
    if not is_wireguard_key(wireguard.get("privateKey", "")):
        yield Problem(f"{path}.wireguard.privateKey", "not a WireGuard key")
    for number, peer in enumerate(wireguard.get("peers", ())):
        if not is_wireguard_key(peer.get("publicKey", "")):
            yield Problem(f"{path}.wireguard.peers[{number}].publicKey", "not a WireGuard key")
