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
import struct
import tempfile
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc

from engine.base.errors import Unreachable
from engine.ports.talos.address import Address
from engine.ports.talos.dial import dial
from engine.ports.talos.identity import Identity
from engine.ports.talos.losses import Losses
from engine.ports.talos.relay import Relay

_ACCEPT_S = 5.0
_MAX_MESSAGE = 32 << 20
_NEVER_MS = 2**31 - 1
IDLE_S = 300.0
LASTING = 50
"""As many may be idle for `IDLE_S`; it is what a cluster at rest needs whose machines are not watched, and costs little."""
BRIEFLY_IDLE_S = 6.0
"""What is idle beyond that serves a burst: machines on their way are asked every second or so, those at rest
once a minute; of a thousand a hundred connections stay, not as many as there may be."""

ConnectionKey = tuple[Address, str]


class Connection:
    """One channel to one node. `users` calls are going on, the last one ended at `used_at` (time of the loop).

    `closed` for ever after its end.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel
        self.relay: Relay | None = None
        self.users = 0
        self.used_at = 0.0
        self.closed = False
        self.unary: dict[str, Any] = {}
        """What calls a unary method, by its name: made once for each channel."""

    @property
    def requests(self) -> int:
        """How many requests the node was sent, or may have been."""
        return self.relay.requests if self.relay is not None else 0

    def sent_since(self, before: int) -> bool:
        """Whether a failed call may have been sent, by the count of `requests` before it.

        When nothing was, the connection is cut first: what gRPC may still hand over must not go out after
        the caller was told that nothing did.
        """
        if self.requests == before and self.relay is not None:
            self.relay.close()
        return self.requests > before

    async def close(self) -> None:
        """End the connection and its channel."""
        self.closed = True
        if self.relay is not None:
            self.relay.close()
        await self.channel.close(None)


class Connections:
    """At most `capacity` connections that nobody uses, few of them idle for long, and as many as are in use.

    With fewer than there are machines on their way, nearly every call would dial: four times its cost.
    `is_watched` tells whether a machine is asked over another connection anyway: then one here goes sooner.
    """

    def __init__(self, capacity: int, is_watched: Callable[[Address], bool]) -> None:
        self._capacity = capacity
        self._kept: OrderedDict[ConnectionKey, Connection] = OrderedDict()
        self._dialling: dict[ConnectionKey, asyncio.Task[Connection]] = {}
        self._folder = Path(tempfile.mkdtemp(prefix="talos-operator-"))
        self._numbers = itertools.count()
        self._ending: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self.losses = Losses()
        self._is_watched = is_watched
        self._sweeping = self._loop.call_later(BRIEFLY_IDLE_S / 4, self._sweep)

    @asynccontextmanager
    async def borrow(
        self,
        address: Address,
        identity: Identity | None,
        *,
        until: float,
        exclusive: bool,
        hear: Callable[[bytes], object] | None = None,
    ) -> AsyncIterator[Connection]:
        """A connection for one call, there before `until` (time of the loop).

        `exclusive`: one that nobody else ever uses; what the node says on it is told to `hear`, too. Raises Unreachable when the node cannot be reached;
        nothing was sent then.
        """
        key = address, identity.digest if identity is not None else ""
        kept = None if exclusive else self._kept.get(key)
        if kept is not None and not kept.closed:
            # The usual case, without a deadline of its own: there is nothing to wait for.
            self._kept.move_to_end(key)
            kept.users += 1
            try:
                yield kept
            finally:
                self._give_back(kept)
            return
        try:
            async with asyncio.timeout_at(until):
                opening = (
                    self._open(address, identity, None, hear) if exclusive else self._shared(key, identity)
                )
                connection = await opening
        except TimeoutError as error:
            raise Unreachable(
                "not reached in time", source=str(address), sent="no", code="ConnectTimeout"
            ) from error
        if exclusive:
            try:
                yield connection
            finally:
                await connection.close()
            return
        if connection.closed:
            raise _cut_at_once(address)
        connection.users += 1
        try:
            yield connection
        finally:
            self._give_back(connection)

    def lost(self, address: Address) -> None:
        """A connection to this machine has ended: what else is open there may be as dead without knowing it yet."""
        self.losses.note(address)
        for key in [key for key, kept in self._kept.items() if key[0] == address and kept.users == 0]:
            self._end_later(self._kept.pop(key))

    async def close(self) -> None:
        """End every connection and take the folder away."""
        self._sweeping.cancel()
        for dialling in list(self._dialling.values()):
            dialling.cancel()
        for connection in list(self._kept.values()):
            await connection.close()
        self._kept.clear()
        if self._ending:
            await asyncio.wait(self._ending)
        shutil.rmtree(self._folder, ignore_errors=True)

    async def _shared(self, key: ConnectionKey, identity: Identity | None) -> Connection:
        """The kept connection, or the one that is being dialled: all who wait for a dial share its outcome."""
        connection = self._kept.get(key)
        if connection is not None:
            self._kept.move_to_end(key)
            return connection
        dialling = self._dialling.get(key)
        if dialling is None:
            dialling = asyncio.get_running_loop().create_task(self._dial_to_keep(key, identity))
            self._dialling[key] = dialling
            dialling.add_done_callback(_retrieved)
        # One caller's deadline must not take the connection from the others.
        return await asyncio.shield(dialling)

    async def _dial_to_keep(self, key: ConnectionKey, identity: Identity | None) -> Connection:
        try:
            connection = await self._open(key[0], identity, key)
            self._kept[key] = connection
            return connection
        finally:
            del self._dialling[key]

    async def _open(
        self,
        address: Address,
        identity: Identity | None,
        key: ConnectionKey | None,
        hear: Callable[[bytes], object] | None = None,
    ) -> Connection:
        silence = self.losses.silence(address)
        if silence is not None:
            raise silence
        try:
            node = await dial(address, identity, connect_s=self.losses.connect_s(address))
        except Unreachable as error:
            self.losses.failed(address, error)
            raise
        self.losses.answered(address)
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
                connection.relay = Relay(node, local, lambda: self._ended(key, connection), hear)
            except BaseException:
                node.sock.close()
                await channel.close(None)
                raise
            finally:
                path.unlink(missing_ok=True)
        if connection.closed:
            await channel.close(None)
            raise _cut_at_once(address)
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
            raise Unreachable(
                "another process took the socket", source=str(address), sent="no", code="Unreachable"
            )
        return peer

    def _ended(self, key: ConnectionKey | None, connection: Connection) -> None:
        connection.closed = True
        if key is not None and self._kept.get(key) is connection:
            del self._kept[key]
            # Closing a channel cancels its calls; those learn from gRPC what happened, the last one closes it.
            if connection.users == 0:
                self._end_later(connection)

    def _give_back(self, connection: Connection) -> None:
        connection.users -= 1
        connection.used_at = self._loop.time()
        if connection.closed and connection.users == 0:
            self._end_later(connection)
        self._evict()

    def _evict(self) -> None:
        """End the least used ones beyond the capacity."""
        spare = len(self._kept) - self._capacity
        if spare <= 0:
            return
        idle = [key for key, connection in self._kept.items() if connection.users == 0]
        for key in idle[:spare]:
            self._end_later(self._kept.pop(key))

    def _sweep(self) -> None:
        """End what nobody has used for a while, the least used ones and those of watched machines sooner; look again later."""
        now = self._loop.time()
        beyond = len(self._kept) - LASTING
        for number, (key, connection) in enumerate(list(self._kept.items())):
            briefly = number < beyond or self._is_watched(key[0])
            longest_s = BRIEFLY_IDLE_S if briefly else IDLE_S
            if connection.users == 0 and connection.used_at < now - longest_s:
                self._end_later(self._kept.pop(key))
        self._sweeping = self._loop.call_later(BRIEFLY_IDLE_S / 4, self._sweep)

    def _end_later(self, connection: Connection) -> None:
        task = asyncio.get_running_loop().create_task(connection.close())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)


def _cut_at_once(address: Address) -> Unreachable:
    message = "the machine cut the connection before anything was sent"
    return Unreachable(message, source=str(address), sent="no", code="ConnectionReset")


def _retrieved(task: asyncio.Task[Connection]) -> None:
    """Take note of a dial's failure that every caller has stopped waiting for."""
    if not task.cancelled():
        task.exception()


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
