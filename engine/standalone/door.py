"""One way in to an API whose state and loop belong to somebody else: an address, a port, a TLS context.

Several doors may lead to one API, as several control plane machines lead to one cluster. A closed door
drops its connections at once. Neighbours: `http` answers; the simulator's clusters have doors.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable
from contextlib import suppress

from aiohttp import web

from engine.standalone.http import Edge

_KEEPALIVE_S = 60.0


class Door:
    """A listener for one Edge; opened and closed in the running loop."""

    def __init__(self, edge: Edge) -> None:
        self._server = web.Server(edge.handle, handler_cancellation=True, keepalive_timeout=_KEEPALIVE_S)
        self._runner = web.ServerRunner(self._server, shutdown_timeout=0.0)

    async def open(self, address: str, port: int, context: ssl.SSLContext) -> None:
        """Listen; raises OSError where that cannot be."""
        await self._runner.setup()
        await web.TCPSite(self._runner, address, port, ssl_context=context).start()

    async def close(self) -> None:
        """Listen no more, and drop whoever is in."""
        inside = [connection.transport for connection in self._server.connections]
        with suppress(OSError):
            await self._runner.cleanup()
        await cut(inside)


async def cut(connections: Iterable[asyncio.Transport | None]) -> None:
    """Close what waits for its client's TLS goodbye, which an idle client never sends."""
    for connection in connections:
        if connection is not None:
            connection.abort()
    # An aborted transport lets go of its socket in the next turn of the loop, the one below it in the turn after.
    for _ in range(3):
        await asyncio.sleep(0)
