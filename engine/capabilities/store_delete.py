"""`store.delete`: remove a file from a store, and what was begun under its key; an absent one counts as deleted.

Neighbour: `stores`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.capabilities.asking import OPAQUE, TEXT, form
from engine.capabilities.contract import Capability, Ports
from engine.capabilities.stores import beside, opened

_DEADLINE_S = 60.0


async def delete(_ports: Ports, given: Mapping[str, Any]) -> dict[str, Any]:
    """Which key is free now. Raises RemoteError."""
    await beside(lambda: opened(given["store"]).delete(given["key"]))
    return {"deleted": given["key"], "told": given["key"]}


CAPABILITY = Capability(
    name="store.delete",
    summary="Remove a file from a store; an absent one counts as deleted.",
    effect="write",
    deadline_s=_DEADLINE_S,
    input=form({"store": OPAQUE, "key": TEXT}),
    output=form({"deleted": TEXT, "told": TEXT}),
    start=delete,
)
