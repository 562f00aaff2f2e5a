"""Paths into objects: what Kubernetes' own JSONPath finds, and what is no path."""

from __future__ import annotations

import contextlib
import copy
import re
import time
from typing import Any

import pytest

from engine.capabilities.field_path import values_at

NODE: dict[str, Any] = {
    "metadata": {"annotations": {"example.org/ip": "192.0.2.9"}, "name": "one"},
    "status": {
        "addresses": [
            {"type": "Hostname", "address": "one.example"},
            {"type": "InternalIP", "address": "192.0.2.1", "order": 2},
            {"type": "ExternalIP", "address": "198.51.100.1", "order": 1, "public": True},
        ],
        "nics": {"eth0": {"ips": ["192.0.2.2", "fd00::2"]}, "eth1": {"ips": []}},
        "empty": None,
    },
}


@pytest.mark.parametrize(
    ("path", "values"),
    [
        (".metadata.name", ["one"]),
        ("metadata.name", ["one"]),
        ("{.metadata.name}", ["one"]),
        ("$.metadata.name", ["one"]),
        (" { $.metadata['name'] } ", ["one"]),
        ('.metadata["name"]', ["one"]),
        (".metadata.annotations['example.org/ip']", ["192.0.2.9"]),
        (r".metadata.annotations.example\.org/ip", ["192.0.2.9"]),
        (".status.addresses[1].address", ["192.0.2.1"]),
        (".status.addresses[-1].address", ["198.51.100.1"]),
        (".status.addresses[7].address", []),
        (".status.addresses[-7].address", []),
        (".status.addresses[0,2].type", ["Hostname", "ExternalIP"]),
        (".status.addresses[1:].address", ["192.0.2.1", "198.51.100.1"]),
        (".status.addresses[::2].type", ["Hostname", "ExternalIP"]),
        (".status.addresses[:-2].type", ["Hostname"]),
        (".status.addresses[*].order", [2, 1]),
        ('.status.addresses[?(@.type=="InternalIP")].address', ["192.0.2.1"]),
        (".status.addresses[?(@.type == 'ExternalIP')].address", ["198.51.100.1"]),
        ('.status.addresses[?(@.type!="Hostname")].order', [2, 1]),
        (".status.addresses[?(@.order < 2)].type", ["ExternalIP"]),
        (".status.addresses[?(@.order >= 1)].order", [2, 1]),
        (".status.addresses[?(@.public)].type", ["ExternalIP"]),
        (".status.addresses[?(@.public == true)].type", ["ExternalIP"]),
        (".status.addresses[?(@.type < 3)].type", []),
        (".status.nics.*.ips[0]", ["192.0.2.2"]),
        (".status.nics.eth0.ips[?(@ == 'fd00::2')]", ["fd00::2"]),
        ("..ips[1]", ["fd00::2"]),
        (".status..order", [2, 1]),
        (".status.nics['eth1','eth0'].ips[0]", ["192.0.2.2"]),
        (".status.nothing.more", []),
        (".status.addresses.address", []),
        (".status.empty", [None]),
        (".status.empty.more", []),
        ("", [NODE]),
    ],
)
def test_a_path_finds_what_kubernetes_finds_there(path: str, values: list[Any]) -> None:
    assert values_at(NODE, path) == values


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (".status.", "a name is missing behind '.status.'"),
        (".status[", "'[' is not closed"),
        (".status['a]", "is not closed"),
        (".status[a]", "[a] is no index"),
        (".status[]", "[] is no index"),
        (".status[::0]", "[::0] is no index"),
        (".status[?(type)]", "'type': a filter asks of @ and a plain path"),
        (".status[?(@..a == 1)]", "a filter asks of @"),
        (".status[?(@.a[?(@.b)])]", "a filter asks of @"),
        (".status[?(@.a == b)]", "b is neither a text in quotes nor a number"),
        (".status[?(@.[)]", "is not closed"),
        (".a b", "unexpected ' b'"),
        (".a]", "unexpected ']'"),
        ("." + "a" * 1100, "at most 1024"),
        ("..a" * 5, "at most 4 times `..`"),
    ],
)
def test_what_is_no_path_is_told_at_its_place(path: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        values_at(NODE, path)


LONG = [
    "..a" * 4,
    "..*" * 4,
    ".*[*,*,*,*,*,*,*,*]" * 50,
    "[" * 1000,
    "[?(@" + " " * 1000 + ")]",
    "[?(@." + "a" * 1000 + ")]",
    "'" * 1000,
    ".a[?(@.a)]" * 90,
]


@pytest.mark.parametrize("path", LONG, ids=lambda path: path[:9])
def test_no_path_costs_more_than_the_object_is_large(path: str) -> None:
    branch: Any = "end"
    for _ in range(9):
        branch = {"a": copy.deepcopy(branch), "b": [copy.deepcopy(branch), copy.deepcopy(branch)]}
    started = time.process_time()
    with contextlib.suppress(ValueError):
        values_at(branch, path)
    assert time.process_time() - started < 2
