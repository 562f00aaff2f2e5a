"""The network settings of the META partition: what is written, and when it differs."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.unit.capabilities_pure.test_pure_capabilities import call

META = {
    "interface": "eth0",
    "subnet": 24,
    "gateway": "192.0.2.1",
    "dnsServers": ["192.0.2.53"],
    "hostname": "one",
}
# As an operator before us wrote it, in the order of its template.
OLDER = """
addresses:
  - {address: 192.0.2.10/24, linkName: eth0, family: inet4, scope: global, flags: permanent, layer: platform}
links: [{name: eth0, logical: false, up: true, mtu: 0, kind: "", type: ether, layer: platform}]
routes:
  - {family: inet4, dst: "", src: "", gateway: 192.0.2.1, outLinkName: eth0, table: main, scope: global,
     type: unicast, flags: "", protocol: static, layer: platform}
hostnames: [{hostname: one, domainname: "", layer: platform}]
resolvers: [{dnsServers: [192.0.2.53], layer: platform}]
timeServers: []
operators: []
externalIPs: []
"""


def meta(address: str = "192.0.2.10", live: str | None = None, **changes: Any) -> Any:
    given = {key: value for key, value in {**META, **changes}.items() if value is not None}
    return call("talos.meta.network", address=address, meta=given, live=live)


def test_the_settings_are_those_of_the_platform_as_talos_reads_them() -> None:
    assert yaml.safe_load(meta()["text"]) == yaml.safe_load(OLDER)


def test_what_is_written_already_in_any_form_does_not_differ() -> None:
    assert meta()["differs"]
    assert not meta(live=OLDER)["differs"]
    assert not meta(live=meta()["text"])["differs"]
    assert meta(live=OLDER, hostname="two")["differs"]
    for broken in ("", "a: [", "- a", "a: 1\n---\nb: 2\n"):
        assert meta(live=broken)["differs"]


def test_the_address_is_that_of_the_one_machine() -> None:
    first, second = meta(), meta(address="192.0.2.11")
    assert yaml.safe_load(second["text"])["addresses"][0]["address"] == "192.0.2.11/24"
    assert first["digest"] != second["digest"]


def test_a_machine_of_ipv6_gets_settings_of_ipv6() -> None:
    told = yaml.safe_load(meta(address="fd00::10", subnet=64, gateway="fe80::1")["text"])
    assert [told[part][0]["family"] for part in ("addresses", "routes")] == ["inet6", "inet6"]
    assert told["addresses"][0]["address"] == "fd00::10/64"


def test_without_gateway_servers_and_host_name_there_is_an_address_on_a_link_that_is_up() -> None:
    told = yaml.safe_load(meta(gateway=None, dnsServers=None, hostname=None)["text"])
    assert {key for key, value in told.items() if value} == {"addresses", "links"}


@pytest.mark.parametrize(
    ("address", "changes", "said"),
    [
        ("192.0.2.10", {"interface": None}, "meta.interface is missing"),
        ("192.0.2.10", {"subnet": None}, "meta.subnet is missing"),
        ("192.0.2.10", {"subnet": 33}, "meta.subnet 33 is no prefix length of 192.0.2.10"),
        ("192.0.2.10", {"gateway": "gate"}, "meta.gateway 'gate' is no IP address"),
        ("192.0.2.10", {"dnsServers": ["a"]}, "meta.dnsServers 'a' is no IP address"),
        ("one.example", {}, "endpoint 'one.example' is no IP address"),
    ],
)
def test_a_setting_that_makes_no_sense_is_a_value_that_names_it(
    address: str, changes: dict[str, Any], said: str
) -> None:
    assert meta(address=address, **changes) == {
        "text": None,
        "digest": None,
        "differs": False,
        "error": said,
    }
