"""Patches that would cut a machine off are refused, with the patch, the place and the reason."""

from __future__ import annotations

from typing import Any

import pytest

from engine.machineconfig.secretsbundle import encode_pem, parse
from tests.unit.machineconfig.samples import BUNDLE, cluster, fault, rendered

CA = encode_pem(parse(BUNDLE).os.crt)
DELETE = {"$patch": "delete"}
WALL = {"apiVersion": "v1alpha1", "kind": "NetworkDefaultActionConfig", "ingress": "block"}


def door(*ports: int | str, protocol: str = "tcp") -> dict[str, Any]:
    return {
        "apiVersion": "v1alpha1",
        "kind": "NetworkRuleConfig",
        "name": f"door-{protocol}",
        "portSelector": {"ports": list(ports), "protocol": protocol},
        "ingress": [{"subnet": "10.0.0.0/8"}],
    }


@pytest.mark.parametrize(
    ("role", "patch", "path"),
    [
        ("worker", {"machine": {"token": DELETE}}, "machine.token"),
        ("worker", {"machine": {"token": "other.0123456789abcdef"}}, "machine.token"),
        ("worker", {"machine": {"ca": DELETE}}, "machine.ca.crt"),
        ("worker", {"machine": {"type": "controlplane"}}, "machine.type"),
        ("worker", {"cluster": {"id": DELETE}}, "cluster.id"),
        ("worker", {"cluster": {"secret": DELETE}}, "cluster.secret"),
        ("worker", {"cluster": {"token": DELETE}}, "cluster.token"),
        ("worker", {"cluster": {"ca": DELETE}}, "cluster.ca.crt"),
        ("controlplane", {"machine": {"ca": {"crt": CA}}}, "machine.ca.key"),
        ("controlplane", {"cluster": {"etcd": DELETE}}, "cluster.etcd.ca.crt"),
        ("controlplane", {"cluster": {"serviceAccount": DELETE}}, "cluster.serviceAccount.key"),
        ("controlplane", WALL, "NetworkDefaultActionConfig: ingress"),
    ],
)
def test_what_a_machine_needs_is_not_patched_away(role: str, patch: dict[str, Any], path: str):
    harmless = {"machine": {"sysctls": {"a": "1"}}}
    found = fault(role, configPatches=[harmless, patch, harmless])
    assert (found.patch, found.reason, found.path) == ("configPatches[1]", "LockedOut", path), found


def test_what_is_taken_away_and_given_back_is_no_matter():
    whole = {"machine": {"certSANs": ["a.example.org"]}}
    rendered("worker", configPatches=[WALL, door(22), door("49000-51000", protocol="tcp")])
    rendered("worker", configPatches=[whole, {"machine": {"certSANs": DELETE}}])


def test_names_of_the_cluster_stay_in_the_machines_certificate():
    found = fault(
        "worker",
        cluster_text=cluster(sans=["api.example.org"]),
        configPatches=[{"machine": {"certSANs": DELETE}}],
    )
    assert (found.patch, found.path) == ("configPatches[0]", "machine.certSANs")
    assert "api.example.org" in found.message


def test_a_wall_needs_a_door_for_the_machines_own_api():
    assert fault("worker", additionalConfig=[WALL, door(22, 6443)]).patch == "additionalConfig[0]"
    assert (
        fault("worker", additionalConfig=[WALL, door(50000, protocol="udp")]).patch == "additionalConfig[0]"
    )
    rendered("worker", additionalConfig=[WALL, door(22, 50000)])
    rendered("worker", additionalConfig=[door("50000-50001"), WALL])
