"""Between the stored form of an object and the version a client speaks.

Versions differ in apiVersion and, for the two faces of Event, in the names of some fields; nothing else is
ever converted. Neighbours: `objects`, `lists`, `watching`.
"""

from __future__ import annotations

import json
from typing import Any

from engine.standalone.kinds import Served


def to_stored(served: Served, value: dict[str, Any]) -> dict[str, Any]:
    """The object as the store keeps it."""
    renamed = {served.renames.get(name, name): member for name, member in value.items()}
    return renamed | {"apiVersion": served.stored}


def from_stored(served: Served, body: bytes) -> dict[str, Any]:
    """The object as a client of `served` sees it."""
    value: dict[str, Any] = json.loads(body)
    if served.renames:
        own = {stored: name for name, stored in served.renames.items()}
        value = {own.get(name, name): member for name, member in value.items()}
    value["apiVersion"] = served.api_version
    return value


def presented(served: Served, body: bytes) -> bytes:
    """As `from_stored`, but JSON; untouched where the stored form is the served one."""
    if served.api_version == served.stored:
        return body
    return json.dumps(from_stored(served, body), separators=(",", ":")).encode()
