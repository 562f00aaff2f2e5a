"""`talos.state.read`: what the Secret `<control plane>-state` says, and whether it may be built upon.

Secrets that cannot be read, and another cluster's secrets than those that an older operator kept in the
status, are an error that says what to do: nothing is made anew in their place and nothing is thrown
away. Of the Secret's texts only what has the form of a version comes out. Neighbour:
`engine.machineconfig.secretsbundle`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from engine.base.timestamps import rfc3339
from engine.base.values import reveal
from engine.capabilities.contract import Capability

if TYPE_CHECKING:
    from engine.machineconfig.secretsbundle import SecretsBundle

_SECRET_OR_NULL = {"type": ["string", "null"], "x-opaque": True}
# As the CRD has it: talos-operator section 0.
_VERSION = re.compile(r"v\d+\.\d+\.\d+(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?")


def read_state(given: Mapping[str, Any], _now: float) -> dict[str, Any]:
    """Whether a control plane was described in it, the Kubernetes version that was observed last, the authorities
    of the cluster and when they expire, and the mistake that stands in the way, as a value.
    """
    from engine.machineconfig import secretsbundle
    from engine.machineconfig.errors import ConfigError

    version = reveal(given.get("observedKubeVersion")) or ""
    found: dict[str, Any] = {
        "described": bool(reveal(given.get("bundleConfig"))),
        "observedKubeVersion": version if _VERSION.fullmatch(version) else None,
        "authorities": [],
        "error": None,
    }
    kept, status = reveal(given.get("bundle")), reveal(given.get("status"))
    if kept is None:
        return found
    try:
        here = secretsbundle.parse(kept)
    except ConfigError as error:
        return found | {"error": _error("Unusable", f"its secretBundle cannot be used: {error}")}
    try:
        there = secretsbundle.parse(status) if status else here
    except ConfigError:
        there = here  # what works is in the Secret
    if here != there:
        message = "its secretBundle is another one than status.secretBundle; remove the one that is wrong"
        return found | {"error": _error("Conflict", message)}
    return found | {"authorities": _authorities(here)}


def _authorities(bundle: SecretsBundle) -> list[dict[str, str]]:
    from engine.machineconfig.certificates import facts

    pairs = {
        "talos-ca": bundle.os,
        "kubernetes-ca": bundle.kubernetes,
        "aggregator-ca": bundle.aggregator,
        "etcd-ca": bundle.etcd,
    }
    return [{"name": name, "expires": rfc3339(facts(pair.crt).not_after)} for name, pair in pairs.items()]


def _error(reason: str, message: str) -> dict[str, str]:
    return {"reason": reason, "message": message}


_TEXT = {"type": "string"}

CAPABILITY = Capability(
    name="talos.state.read",
    summary="What the state Secret of a control plane says, and whether its keys can be used.",
    effect="pure",
    memo=True,
    input={
        "type": "object",
        "required": ["bundle", "bundleConfig", "observedKubeVersion", "status"],
        "properties": {
            "bundle": _SECRET_OR_NULL,
            "bundleConfig": _SECRET_OR_NULL,
            "observedKubeVersion": _SECRET_OR_NULL,
            "status": _SECRET_OR_NULL,
        },
        "additionalProperties": False,
    },
    output={
        "type": "object",
        "required": ["described", "observedKubeVersion", "authorities", "error"],
        "properties": {
            "described": {"type": "boolean"},
            "observedKubeVersion": {"type": ["string", "null"]},
            "authorities": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["name", "expires"],
                    "properties": {"name": _TEXT, "expires": {"type": "string", "format": "date-time"}},
                    "additionalProperties": False,
                },
            },
            "error": {
                "type": ["object", "null"],
                "required": ["reason", "message"],
                "properties": {"reason": _TEXT, "message": _TEXT},
                "additionalProperties": False,
            },
        },
        "additionalProperties": False,
    },
    run=read_state,
)
