"""What all machines of a cluster share, as it is kept in `status.bundleConfig`.

The JSON keys are part of the compatibility surface (talos-operator 0.2). Never holds secrets.
Neighbours: `generate`, `options` (what only a person asks for).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.machineconfig.errors import ConfigError
from engine.machineconfig.options import DEFAULTS, Options


@dataclass(frozen=True, slots=True)
class Cluster:
    """One cluster. Empty tuples mean Talos's defaults, and so does a `domain` of None; `cni` is as in the CRD.

    Without a `kubernetes` version no image is named. `ahead`: a contract of which there is no release yet is
    meant by its name and not taken for the newest one.
    """

    name: str
    endpoint: str
    version: str
    kubernetes: str
    sans: tuple[str, ...] = ()
    pod_subnets: tuple[str, ...] = ()
    service_subnets: tuple[str, ...] = ()
    domain: str | None = None
    cni: str = "{}"
    """JSON, so that a Cluster can be compared and hashed."""
    options: Options = DEFAULTS
    ahead: bool = False


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
        domain=_text(raw, "clusterDomain") or None,
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
