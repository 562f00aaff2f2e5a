"""`talos.secrets.obtain`: the secrets of a cluster, taken over or made.

Promises: what is given and unusable is an error, never a reason to make new secrets, since a second
set would make two clusters of one. Never logs or returns a secret but as Opaque. Neighbour:
`engine.machineconfig.secretsbundle`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.base.errors import CapabilityError
from engine.base.values import Opaque, reveal
from engine.capabilities.contract import Capability

_OPAQUE = {"type": "string", "x-opaque": True}


def obtain(given: Mapping[str, Any], now: float) -> dict[str, Any]:
    """The kept bundle, else the one behind the given configuration, else a new one.

    Raises CapabilityError (UnusableSecrets) naming which of the two given texts cannot be used and why.
    """
    from engine.machineconfig import secretsbundle
    from engine.machineconfig.errors import ConfigError

    kept, config = reveal(given.get("status")), reveal(given.get("config"))
    source = "kept secrets bundle" if kept else "given control plane configuration"
    try:
        if kept:
            secretsbundle.check_fit(kept, now)
            return {"bundle": Opaque(kept)}
        if config:
            found = secretsbundle.from_config(config).text()
            secretsbundle.check_fit(found, now)
            return {"bundle": Opaque(found)}
    except ConfigError as error:
        message = f"the {source} cannot be used: {error}; correct or remove it, no new secrets are made"
        raise CapabilityError(message, operation=CAPABILITY.name, sent="no", code="UnusableSecrets") from None
    return {"bundle": Opaque(_generated(now))}


def _generated(now: float) -> str:
    import secrets

    from engine.machineconfig import secretsbundle

    return secretsbundle.generate(now, secrets.token_bytes).text()


CAPABILITY = Capability(
    name="talos.secrets.obtain",
    summary="The secrets bundle of a cluster: kept, taken out of a configuration, or newly made.",
    effect="pure",
    random=True,
    input={
        "type": "object",
        "properties": {"status": _OPAQUE, "config": _OPAQUE},
        "additionalProperties": False,
    },
    output={
        "type": "object",
        "required": ["bundle"],
        "properties": {"bundle": _OPAQUE},
        "additionalProperties": False,
    },
    run=obtain,
)
