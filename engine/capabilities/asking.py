"""How capabilities ask nodes: a method by its name, with the identity of a bundle.

Not an ability itself. Neighbours: the capabilities that talk to nodes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from engine import protocol
from engine.base.values import Opaque
from engine.capabilities.contract import Ports, Schema

OPAQUE: Final[Schema] = {"type": "string", "x-opaque": True}
TEXT: Final[Schema] = {"type": "string"}
TEXTS: Final[Schema] = {"type": "array", "items": {"type": "string"}}

READ_S: Final = 5.0


def form(properties: Mapping[str, Schema], optional: frozenset[str] = frozenset()) -> Schema:
    """The schema of a map with exactly these keys; those in `optional` may be absent."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


async def ask(
    ports: Ports,
    address: str,
    bundle: Opaque | None,
    method: str,
    request: Mapping[str, Any] | None = None,
    *,
    deadline_s: float = READ_S,
    exclusive: bool = False,
) -> list[Any]:
    """The replies of one call; `bundle` None means maintenance mode. Raises RemoteError."""
    identity = None if bundle is None else ports.identities.of(bundle, ports.now)
    message = protocol.to_message(protocol.methods()[method], request or {})
    return await ports.talos.call(
        address, identity, method, message, deadline_s=deadline_s, exclusive=exclusive
    )


def host_of(url: str) -> str:
    """The host in `https://10.0.0.1:2380` or `https://[::1]:2380`, without brackets."""
    match = re.match(r"\w+://(?:\[([^\]]+)\]|([^:/]+))", url)
    return (match.group(1) or match.group(2)) if match else ""
