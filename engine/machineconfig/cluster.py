"""What all machines of a cluster share, as it is kept in `status.bundleConfig`.

The JSON keys are part of the compatibility surface (talos-operator 0.2). Never holds secrets.
Neighbour: `generate`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.machineconfig.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Cluster:
    """One cluster. Empty tuples and texts mean Talos's defaults; `cni` is as in the CRD."""

    name: str
    endpoint: str
    version: str
    kubernetes: str
    sans: tuple[str, ...] = ()
    pod_subnets: tuple[str, ...] = ()
    service_subnets: tuple[str, ...] = ()
    domain: str = ""
    cni: str = "{}"
    """JSON, so that a Cluster can be compared and hashed."""


def load_cluster(text: str) -> Cluster:
    """Read the JSON of `status.bundleConfig`. Raises ConfigError naming the key that is missing or wrong."""
    try:
        raw = json.loads(text)
    except ValueError:
        raise ConfigError("Syntax", "the cluster's bundleConfig is not JSON") from None
    if not isinstance(raw, Mapping):
        raise ConfigError("WrongType", "the cluster's bundleConfig is not a JSON object")
    return Cluster(
        name=_text(raw, "clusterName", required=True),
        endpoint=_text(raw, "endpoint", required=True),
        version=_text(raw, "version"),
        kubernetes=_text(raw, "kubeVersion", required=True).removeprefix("v"),
        sans=_texts(raw, "sans"),
        pod_subnets=_texts(raw, "podCIDR"),
        service_subnets=_texts(raw, "serviceCIDR"),
        domain=_text(raw, "clusterDomain"),
        cni=json.dumps(raw.get("cni") or {}, sort_keys=True),
    )


def _text(raw: Mapping[str, Any], key: str, *, required: bool = False) -> str:
    value = raw.get(key)
    if value is None:
        value = ""
    if not isinstance(value, str):
        raise ConfigError("WrongType", "a text is needed here", path=key)
    if required and not value:
        raise ConfigError("Invalid", "required", path=key)
    return value


def _texts(raw: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = raw.get(key) or []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ConfigError("WrongType", "a list of texts is needed here", path=key)
    return tuple(value)
