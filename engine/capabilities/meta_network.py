"""`talos.meta.network`: the network settings that a machine keeps in its META partition, key 0x0a.

Talos on metal takes them for the platform's network configuration and follows each change at once
(Talos: PlatformConfigSpec, and the metal platform's watch of the key). Promises that what is missing or
is no address comes back as a value that names it, and that two texts which say the same do not differ.
Never writes. Neighbour: the rule for machines compares and writes.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Mapping
from typing import Any, Final

from engine.base.yamltext import YAMLError, dump, load_documents
from engine.capabilities.asking import TEXT, form
from engine.capabilities.contract import Capability

_TEXT_OR_NULL: Final = {"type": ["string", "null"]}
_LAYER: Final = {"layer": "platform"}
_EMPTY: Final[tuple[object, ...]] = (None, "", False, 0, [], {})


def network(given: Mapping[str, Any], _now: float) -> dict[str, Any]:
    """The text for the machine of this address, and whether it says something else than `live`.

    With a mistake in `meta` only `error` is there: the field and what is wrong with it.
    """
    try:
        wanted = settings(given["address"], given["meta"])
    except ValueError as error:
        return {"text": None, "digest": None, "differs": False, "error": str(error)}
    text = dump(wanted)
    return {
        "text": text,
        "digest": hashlib.blake2b(text.encode(), digest_size=8).hexdigest(),
        "differs": _said(given["live"]) != _filled(wanted),
        "error": None,
    }


def settings(address: str, meta: Mapping[str, Any]) -> dict[str, Any]:
    """One address on one link; a default route, a host name and name servers where given.

    Raises ValueError, naming the field.
    """
    link, length = meta.get("interface"), meta.get("subnet")
    for field, value in (("interface", link), ("subnet", length)):
        if value in (None, ""):
            raise ValueError(f"meta.{field} is missing")
    own = _interface(address, length)
    gateway = _address("gateway", meta["gateway"]) if meta.get("gateway") else None
    servers = [str(_address("dnsServers", server)) for server in meta.get("dnsServers") or ()]
    host = meta.get("hostname")
    return {
        "addresses": [
            {
                "address": str(own),
                "linkName": link,
                "family": _family(own),
                "scope": "global",
                "flags": "permanent",
                **_LAYER,
            }
        ],
        "links": [
            {"name": link, "logical": False, "up": True, "mtu": 0, "kind": "", "type": "ether", **_LAYER}
        ],
        "routes": [] if gateway is None else [_default_route(gateway, link)],
        "hostnames": [{"hostname": host, "domainname": "", **_LAYER}] if host else [],
        "resolvers": [{"dnsServers": servers, **_LAYER}] if servers else [],
        "timeServers": [],
        "operators": [],
        "externalIPs": [],
    }


def _default_route(gateway: ipaddress.IPv4Address | ipaddress.IPv6Address, link: Any) -> dict[str, Any]:
    return {
        "family": _family(gateway),
        "dst": "",
        "src": "",
        "gateway": str(gateway),
        "outLinkName": link,
        "table": "main",
        "scope": "global",
        "type": "unicast",
        "flags": "",
        "protocol": "static",
        **_LAYER,
    }


def _family(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    return f"inet{address.version}"


def _interface(address: str, length: Any) -> ipaddress.IPv4Interface | ipaddress.IPv6Interface:
    own = _address("endpoint", address)
    if not isinstance(length, int) or not 0 < length <= own.max_prefixlen:
        raise ValueError(f"meta.subnet {length} is no prefix length of {own}")
    return ipaddress.ip_interface(f"{own}/{length}")


def _address(field: str, text: Any) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        name = field if field == "endpoint" else f"meta.{field}"
        raise ValueError(f"{name} {text!r} is no IP address") from None


def _said(live: str | None) -> Any:
    """What a live text says; None where it is no YAML map, or there is none."""
    try:
        documents = load_documents(live or "")
    except YAMLError:
        return None
    return _filled(documents[0]) if len(documents) == 1 else None


def _filled(value: Any) -> Any:
    """Without what is empty, which Talos takes for not given."""
    if isinstance(value, Mapping):
        items = {key: _filled(item) for key, item in value.items()}
        return {key: item for key, item in items.items() if item not in _EMPTY}
    if isinstance(value, list):
        return [_filled(item) for item in value]
    return value


CAPABILITY = Capability(
    name="talos.meta.network",
    summary="The network settings for a machine's META partition, and whether it has others.",
    effect="pure",
    input=form(
        {
            "address": TEXT,
            "meta": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            "live": _TEXT_OR_NULL,
        }
    ),
    output=form(
        {
            "text": _TEXT_OR_NULL,
            "digest": _TEXT_OR_NULL,
            "differs": {"type": "boolean"},
            "error": _TEXT_OR_NULL,
        }
    ),
    run=network,
)
