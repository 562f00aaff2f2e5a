"""Check what a rule hands to a capability, before anything is done with it.

null is not absent: a key that is there must hold something unless its schema allows null. The loader has
checked names and types; this is for what only shows on one object. Pure. Neighbours: `observe` and
`act` ask before each call.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.base.errors import CapabilityError
from engine.capabilities.contract import Capability, Schema


def check_input(capability: Capability, given: Any) -> None:
    """Raises CapabilityError (InvalidInput), nothing sent, naming the key that is null or missing."""
    if not isinstance(given, Mapping):
        raise _refused(capability, "needs a map")
    properties = capability.input.get("properties", {})
    for key in capability.input.get("required", ()):
        if key not in given:
            raise _refused(capability, f"`{key}` is missing")
    for key, value in given.items():
        if value is None and not _takes_null(properties.get(key, {})):
            raise _refused(capability, f"`{key}` is null, which is not the same as absent")


def _takes_null(schema: Schema) -> bool:
    kinds = schema.get("type")
    return kinds is None or kinds == "null" or (isinstance(kinds, list) and "null" in kinds)


def _refused(capability: Capability, message: str) -> CapabilityError:
    return CapabilityError(message, operation=capability.name, sent="no", code="InvalidInput")
