"""Where a node is: an IP address or a DNS name, and a port. Nothing else may be dialled.

Refuses what gRPC would read as a scheme (`unix:`, `dns://`, `xds:`) and, where only simulated machines
may be reached, everything outside loopback. Pure. Neighbour: `client`.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache

from engine.base.addresses import bracketed
from engine.base.errors import Unreachable

DEFAULT_PORT = 50000
_NAME = re.compile(
    r"(?=.{1,253}$)[A-Za-z0-9]([-A-Za-z0-9]{0,62}[A-Za-z0-9])?(\.[A-Za-z0-9]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?)*"
)


@dataclass(frozen=True, slots=True)
class Address:
    """A host (IP address without brackets, or DNS name) and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{bracketed(self.host)}:{self.port}"


@lru_cache(maxsize=4096)
def parse_address(text: str, *, loopback_only: bool) -> Address:
    """The address in `HOST`, `HOST:PORT` or `[IPV6]:PORT`; port 50000 if none is given.

    Raises Unreachable, nothing sent, for anything else.
    """
    host, port = text, DEFAULT_PORT
    match = re.fullmatch(r"\[(.+)\](?::(\d{1,5}))?|([^:]+):(\d{1,5})", text)
    if match:
        host = match.group(1) or match.group(3)
        port = int(match.group(2) or match.group(4) or DEFAULT_PORT)
    is_loopback = host == "localhost"
    try:
        is_loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        if not _NAME.fullmatch(host):
            raise Unreachable(
                "is no IP address or host name", source=text, sent="no", code="InvalidAddress"
            ) from None
    if not 0 < port < 65536:
        raise Unreachable(f"{port} is no port", source=text, sent="no", code="InvalidAddress")
    if loopback_only and not is_loopback:
        message = "only loopback addresses are dialled while machines are simulated"
        raise Unreachable(message, source=text, sent="no", code="NotLoopback")
    return Address(host, port)
