"""Checks of the documents about links: addresses, bonds, VLANs, VRFs, WireGuard, DHCP.

Each yields problems with paths; none changes anything. Verdicts are those of machinery 1.13.9, asked by
tests/talos-model. Neighbour: `checks_documents` runs them.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from engine.machineconfig.checks import Problem
from engine.machineconfig.texts import nanoseconds

_KEY_BYTES: Final = 32
_RESERVED_TABLES: Final = ("unspec", "default", "main", "local", "253", "254", "255")


def _addresses(_: str, value: Mapping[str, Any]) -> Iterator[Problem]:
    for index, entry in enumerate(value.get("addresses", ())):
        if not entry.get("address"):
            yield Problem(f"addresses[{index}].address", "required")


def _bond(_: str, value: Mapping[str, Any]) -> Iterator[Problem]:
    if value.get("bondMode") == "802.3ad":
        for key in ("miimon", "updelay", "downdelay"):
            if key not in value:
                yield Problem(key, "should be given for an 802.3ad bond", warning=True)


def _vlan(_: str, value: Mapping[str, Any]) -> Iterator[Problem]:
    if not 1 <= value.get("vlanID", 0) <= 4094:
        yield Problem("vlanID", "must be between 1 and 4094")


def _routing_domain(_: str, value: Mapping[str, Any]) -> Iterator[Problem]:
    if value.get("table", "unspec") in _RESERVED_TABLES:
        yield Problem("table", "a table of its own is required")


def _dhcp(_: str, value: Mapping[str, Any]) -> Iterator[Problem]:
    by_duid = value.get("clientIdentifier") == "duid"
    if by_duid and not value.get("duidRaw"):
        yield Problem("duidRaw", "required with clientIdentifier: duid")
    if value.get("duidRaw") and not by_duid:
        yield Problem("duidRaw", "only with clientIdentifier: duid")


def _wireguard(_: str, value: Mapping[str, Any]) -> Iterator[Problem]:
    yield from _key("privateKey", value.get("privateKey"))
    if not 0 <= value.get("listenPort", 0) <= 65535:
        yield Problem("listenPort", "must be between 0 and 65535")
    for index, peer in enumerate(value.get("peers", ())):
        path = f"peers[{index}]"
        if not peer.get("publicKey"):
            yield Problem(f"{path}.publicKey", "required")
        yield from _key(f"{path}.publicKey", peer.get("publicKey"))
        yield from _key(f"{path}.presharedKey", peer.get("presharedKey"))
        if nanoseconds(peer.get("persistentKeepaliveInterval", "0s")) < 0:
            yield Problem(f"{path}.persistentKeepaliveInterval", "must not be negative")


def _key(path: str, text: str | None) -> Iterator[Problem]:
    if text and not is_wireguard_key(text):
        yield Problem(path, f"not a WireGuard key: base64 of {_KEY_BYTES} bytes")


def is_wireguard_key(text: str) -> bool:
    """Whether a text is base64 of as many bytes as a key has."""
    try:
        return len(base64.b64decode(text, validate=True)) == _KEY_BYTES
    except (binascii.Error, ValueError):
        return False


LINK_CHECKS: Final[Mapping[str, tuple[Callable[[str, Mapping[str, Any]], Iterator[Problem]], ...]]] = {
    "BondConfig": (_addresses, _bond),
    "BridgeConfig": (_addresses,),
    "DHCPv4Config": (_dhcp,),
    "DHCPv6Config": (_dhcp,),
    "DummyLinkConfig": (_addresses,),
    "LinkConfig": (_addresses,),
    "VLANConfig": (_addresses, _vlan),
    "VRFConfig": (_addresses, _routing_domain),
    "WireguardConfig": (_addresses, _wireguard),
}
