"""Keep connections to nodes: one for each machine and identity, the least used ones go.

A connection is dialled first and gets its gRPC channel afterwards, on a unix socket of its own in
a folder that only this process may enter; the listener takes one peer, checks that it is this
process, and is gone. A connection that ended is forgotten at once, the next call dials again.
Lives on the loop. Neighbours: `dial`, `relay`; `client` borrows connections.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import socket
import ssl
import struct
import tempfile
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc

from engine.base.errors import Unreachable
from engine.ports.talos.address import Address
from engine.ports.talos.dial import dial
from engine.ports.talos.identity import Identity, context_for
from engine.ports.talos.relay import Relay

_ACCEPT_S = 5.0
_MAX_MESSAGE = 32 << 20
_NEVER_MS = 2**31 - 1

ConnectionKey = tuple[Address, str]


class Connection:
    """One channel to one node. `users` calls are going on; `closed` for ever after its end."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel
        self.relay: Relay | None = None
        self.users = 0
        self.closed = False

    @property
    def requests(self) -> int:
        """How many requests the node was sent, or may have been."""
        return self.relay.requests if self.relay is not None else 0

    async def close(self) -> None:
        """End the connection and its channel."""
        self.closed = True
        if self.relay is not None:
            self.relay.close()
        await self.channel.close(None)


class Connections:
    """At most `capacity` connections that nobody uses, and as many as are in use."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._kept: OrderedDict[ConnectionKey, Connection] = OrderedDict()
        self._dialling: dict[ConnectionKey, asyncio.Lock] = {}
        self._folder = Path(tempfile.mkdtemp(prefix="talos-operator-"))
        self._numbers = itertools.count()
        self._ending: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def borrow(
        self, address: Address, identity: Identity | None, *, exclusive: bool
    ) -> AsyncIterator[Connection]:
        """A connection for one call; `exclusive`: one that nobody else ever uses.

        Raises Unreachable when the node cannot be reached; nothing was sent then.
        """
        if exclusive:
            own = await self._open(address, identity, key=None)
            try:
                yield own
            finally:
                await own.close()
            return
        connection = await self._shared(address, identity)
        connection.users += 1
        try:
            yield connection
        finally:
            connection.users -= 1
            self._evict()

    async def close(self) -> None:
        """End every connection and take the folder away."""
        for connection in list(self._kept.values()):
            await connection.close()
        self._kept.clear()
        if self._ending:
            await asyncio.wait(self._ending)
        shutil.rmtree(self._folder, ignore_errors=True)

    async def _shared(self, address: Address, identity: Identity | None) -> Connection:
        key = address, identity.digest if identity is not None else ""
        lock = self._dialling.setdefault(key, asyncio.Lock())
        async with lock:
            connection = self._kept.get(key)
            if connection is None or connection.closed:
                connection = await self._open(address, identity, key)
                self._kept[key] = connection
            self._kept.move_to_end(key)
        if not lock.locked():
            self._dialling.pop(key, None)
        return connection

    async def _open(self, address: Address, identity: Identity | None, key: ConnectionKey | None) -> Connection:
        try:
            context = context_for(identity)
        except (ssl.SSLError, ValueError) as error:
            message = f"our own certificate or key is unusable: {error}"
            raise Unreachable(message, source=str(address), sent="no", code="IdentityUnusable") from error
        node = await dial(address, context)
        path = self._folder / str(next(self._numbers))
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.setblocking(False)
            listener.bind(str(path))
            listener.listen(1)
            channel = grpc.aio.insecure_channel(f"unix:{path}", options=_options(address))
            connection = Connection(channel)
            try:
                channel.get_state(try_to_connect=True)
                local = await self._accept(listener, address)
                connection.relay = Relay(node, local, lambda: self._ended(key, connection))
            except BaseException:
                node.sock.close()
                await channel.close(None)
                raise
            finally:
                path.unlink(missing_ok=True)
        return connection

    async def _accept(self, listener: socket.socket, address: Address) -> socket.socket:
        """The one peer of a listener, which has to be this process."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_ACCEPT_S):
                peer, _ = await loop.sock_accept(listener)
        except TimeoutError as error:
            message = "gRPC did not take its socket"
            raise Unreachable(message, source=str(address), sent="no", code="Unreachable") from error
        pid, _, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if pid != os.getpid():
            peer.close()
            raise Unreachable("another process took the socket", source=str(address), sent="no", code="Unreachable")
        return peer

    def _ended(self, key: ConnectionKey | None, connection: Connection) -> None:
        connection.closed = True
        if key is not None and self._kept.get(key) is connection:
            del self._kept[key]
            self._end_later(connection)

    def _evict(self) -> None:
        idle = [key for key, connection in self._kept.items() if connection.users == 0]
        for key in idle[: max(0, len(idle) - self._capacity)]:
            self._end_later(self._kept.pop(key))

    def _end_later(self, connection: Connection) -> None:
        task = asyncio.get_running_loop().create_task(connection.close())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)


def _options(address: Address) -> list[tuple[str, object]]:
    """No keepalive: Talos answers pings more often than every five minutes with GOAWAY."""
    return [
        ("grpc.max_receive_message_length", _MAX_MESSAGE),
        ("grpc.max_send_message_length", _MAX_MESSAGE),
        ("grpc.enable_retries", 0),
        ("grpc.client_idle_timeout_ms", _NEVER_MS),
        ("grpc.default_authority", str(address)),
        ("grpc.enable_http_proxy", 0),
    ]
