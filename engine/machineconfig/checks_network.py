"""Checks of `machine.network` and `machine.registries`.

Each yields problems with paths; none changes anything. Neighbour: `validate` runs them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from engine.machineconfig.checks import Check, Problem, Situation, is_address, is_network, section
from engine.machineconfig.checks_legacy import bond_problems, wireguard_problems

_INTERFACES: Final = "machine.network.interfaces"


def _interfaces(situation: Situation) -> Iterator[Problem]:
    for index, device in enumerate(section(situation.machine, "network").get("interfaces", ())):
        path = f"{_INTERFACES}[{index}]"
        if device.get("ignore"):
            continue
        if device.get("cidr"):
            yield Problem(f"{path}.cidr", "deprecated; use addresses", warning=True)
        yield from _naming(device, path)
        yield from _addressing(device, path)
        yield from _routes(device, path)
        yield from _shared_address(situation, device, path)
        yield from bond_problems(device, path)
        yield from wireguard_problems(device, path)
        for number, vlan in enumerate(device.get("vlans", ())):
            yield from _addressing(vlan, f"{path}.vlans[{number}]")
            yield from _routes(vlan, f"{path}.vlans[{number}]")
            yield from _shared_address(situation, vlan, f"{path}.vlans[{number}]")


def _naming(device: Mapping[str, Any], path: str) -> Iterator[Problem]:
    if not device.get("interface") and "deviceSelector" not in device:
        yield Problem(path, "either interface or deviceSelector is required")
    if device.get("interface") and "deviceSelector" in device:
        yield Problem(path, "interface and deviceSelector exclude each other")
    if "deviceSelector" in device and not device["deviceSelector"]:
        yield Problem(f"{path}.deviceSelector", "at least one field is required")
    if "bond" in device and "bridge" in device:
        yield Problem(path, "bond and bridge exclude each other")


def _addressing(device: Mapping[str, Any], path: str) -> Iterator[Problem]:
    if device.get("cidr") and not (is_network(device["cidr"]) or is_address(device["cidr"])):
        yield Problem(f"{path}.cidr", "not an address such as 10.0.0.2/24")
    if device.get("cidr") and device.get("addresses"):
        yield Problem(path, "cidr and addresses exclude each other")
    for number, address in enumerate(device.get("addresses", ())):
        if not (is_network(address) or is_address(address)):
            yield Problem(f"{path}.addresses[{number}]", "not an address such as 10.0.0.2/24")


def _routes(device: Mapping[str, Any], path: str) -> Iterator[Problem]:
    for number, route in enumerate(device.get("routes", ())):
        place = f"{path}.routes[{number}]"
        if route.get("network") and not is_network(route["network"]):
            yield Problem(f"{place}.network", "not a network such as 10.0.0.0/8")
        if route.get("gateway") and not is_address(route["gateway"]):
            yield Problem(f"{place}.gateway", "not an IP address")
        if not route.get("network") and not route.get("gateway"):
            yield Problem(place, "either network or gateway is required")
        if route.get("source") and not is_address(route["source"]):
            yield Problem(f"{place}.source", "not an IP address")


def _shared_address(situation: Situation, device: Mapping[str, Any], path: str) -> Iterator[Problem]:
    vip = device.get("vip")
    if vip is None:
        return
    if not situation.control_plane:
        yield Problem(f"{path}.vip", "a shared address is for control plane machines only")
    if not is_address(vip.get("ip", "")):
        yield Problem(f"{path}.vip.ip", "not an IP address")


def _members(situation: Situation) -> Iterator[Problem]:
    devices = section(situation.machine, "network").get("interfaces", ())
    owners: dict[str, str] = {}
    for device in devices:
        for kind in ("bond", "bridge"):
            for name in section(device, kind).get("interfaces", ()):
                owner = device.get("interface", "")
                if owners.setdefault(name, owner) != owner:
                    yield Problem(_INTERFACES, f"{name} is part of both {owners[name]} and {owner}")
    for index, device in enumerate(devices):
        addressed = device.get("dhcp") or device.get("addresses") or device.get("cidr")
        if addressed and device.get("interface") in owners:
            yield Problem(
                f"{_INTERFACES}[{index}]", "a member of a bond or bridge has no addresses of its own"
            )


def _registries(situation: Situation) -> Iterator[Problem]:
    registries = section(situation.machine, "registries")
    for part in ("mirrors", "config"):
        for host, entry in section(registries, part).items():
            if entry is None:
                yield Problem(f'machine.registries.{part}."{host}"', "must not be null")
    for host, entry in section(registries, "config").items():
        tls = section(entry or {}, "tls")
        if tls.get("clientIdentity") is not None and not section(tls, "clientIdentity").get("crt"):
            yield Problem(f'machine.registries.config."{host}".tls.clientIdentity.crt', "required")


NETWORK_CHECKS: Final[tuple[Check, ...]] = (_interfaces, _members, _registries)
