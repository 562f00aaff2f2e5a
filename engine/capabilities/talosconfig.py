"""`talos.talosconfig`: a talosconfig with a new administrator's certificate.

Never keeps what it makes. Neighbour: `engine.machineconfig.identity`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.base.errors import CapabilityError
from engine.base.values import Opaque, reveal
from engine.capabilities.contract import Capability

_OPAQUE = {"type": "string", "x-opaque": True}


def make_talosconfig(given: Mapping[str, Any], now: float) -> dict[str, Any]:
    """One context with the endpoints in their order, valid for a year from `now`.

    Raises CapabilityError (UnusableSecrets).
    """
    from engine.machineconfig import identity, secretsbundle
    from engine.machineconfig.errors import ConfigError

    try:
        bundle = secretsbundle.parse(reveal(given["identity"]))
    except ConfigError as error:
        raise CapabilityError(
            str(error), operation=CAPABILITY.name, sent="no", code="UnusableSecrets"
        ) from None
    return {"text": Opaque(identity.talosconfig(bundle, given["context"], given["endpoints"], now=now))}


CAPABILITY = Capability(
    name="talos.talosconfig",
    summary="A talosconfig of one context for an administrator.",
    effect="pure",
    random=True,
    input={
        "type": "object",
        "required": ["context", "endpoints", "identity"],
        "properties": {
            "context": {"type": "string"},
            "endpoints": {"type": "array", "items": {"type": "string"}},
            "identity": _OPAQUE,
        },
        "additionalProperties": False,
    },
    output={
        "type": "object",
        "required": ["text"],
        "properties": {"text": _OPAQUE},
        "additionalProperties": False,
    },
    run=make_talosconfig,
)
