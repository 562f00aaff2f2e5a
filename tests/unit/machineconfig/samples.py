"""A cluster to test with: throw-away secrets, a bundleConfig, short ways to render."""

from __future__ import annotations

import json
from typing import Any

from engine.machineconfig.config import Config, load
from engine.machineconfig.render import Fault, Rendered, render
from tests.unit.machineconfig.golden import SHIPPED

BUNDLE = (SHIPPED / "config" / "default-a-113" / "secrets.yaml").read_text()
OTHER_BUNDLE = (SHIPPED / "config" / "default-a-111" / "secrets.yaml").read_text()
NOW = 1767225600.0


def cluster(**changed: Any) -> str:
    """The JSON of status.bundleConfig, as the reference writes it."""
    return json.dumps(
        {
            "clusterName": "demo",
            "endpoint": "https://10.5.0.2:6443",
            "version": "v1.13.9",
            "kubeVersion": "v1.36.3",
            "podCIDR": None,
            "serviceCIDR": None,
            "clientEndpoint": None,
            **changed,
        }
    )


def rendered(
    role: Any = "controlplane", *, disk: str = "/dev/sda", version: str = "", **spec: Any
) -> Rendered:
    """Render a machine that is expected to be right; `spec` are fields of its MachineSpec."""
    result = render(
        role=role, cluster_text=cluster(), bundle_text=BUNDLE, machine=spec, disk=disk, version=version
    )
    assert isinstance(result, Rendered), result
    return result


def config_of(role: Any = "controlplane", **given: Any) -> Config:
    return load(rendered(role, **given).text)


def fault(role: Any = "controlplane", *, cluster_text: str = "", **spec: Any) -> Fault:
    """Render a machine that is expected to be wrong."""
    result = render(
        role=role, cluster_text=cluster_text or cluster(), bundle_text=BUNDLE, machine=spec, disk="/dev/sda"
    )
    assert isinstance(result, Fault), result
    return result
