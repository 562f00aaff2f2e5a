"""`store.stat`: what a store has under a key; null when it has nothing.

`verified` says that the digest of exactly this content was recorded when it was published: false for what another
program stored, and for what a crash left without a digest. Neighbour: `stores`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.capabilities.asking import OPAQUE, TEXT, form
from engine.capabilities.contract import Capability, Ports
from engine.capabilities.stores import LOOK_S, beside, opened


async def stat(_ports: Ports, given: Mapping[str, Any]) -> dict[str, Any] | None:
    """Size in bytes, SHA-256 in hex, time of publication in seconds since the epoch. Raises RemoteError."""
    found = await beside(lambda: opened(given["store"]).stat(given["key"]))
    if found is None:
        return None
    return {
        "size": found.size,
        "sha256": found.sha256,
        "modified": found.modified,
        "verified": found.sha256 is not None,
    }


_FOUND = form(
    {
        "size": {"type": "integer"},
        "sha256": {"type": ["string", "null"]},
        "modified": {"type": "number"},
        "verified": {"type": "boolean"},
    }
)

CAPABILITY = Capability(
    name="store.stat",
    summary="Size, digest and time of a file in a store; null when there is none.",
    effect="read",
    deadline_s=LOOK_S,
    input=form({"store": OPAQUE, "key": TEXT}),
    output={**_FOUND, "type": ["object", "null"]},
    start=stat,
)
