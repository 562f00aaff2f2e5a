"""Reach a node as far as its first bytes: TCP, TLS, then what it says before any request.

In TLS 1.3 a node refuses our certificate only after our handshake has succeeded, so a dial is
good only when its first HTTP/2 frame has been read. Whatever fails before that is known as not
sent, with its cause. Each stage has its deadline; nothing blocks the loop. Neighbours:
`connections` dials, `relay` carries on from where this ends, `failures` names causes.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from dataclasses import dataclass
from typing import Any, Final

from engine.base.errors import Unreachable
from engine.ports.talos.address import Address
from engine.ports.talos.failures import of_dial
from engine.ports.talos.identity import Identity, context_for

CONNECT_S = 3.0
HELLO_S = 5.0
PIECE: Final = 2048
"""So much at most is given to TLS at once: its buffer in memory keeps the size of the most it ever held."""
RECORD: Final = 16384
"""So much at most is in one record of TLS, which is what one read can give."""
_FRAME_HEADER = 9
_SETTINGS = 4


@dataclass(slots=True)
class Dialled:
    """A node that has spoken: its socket, the TLS state and the bytes it has sent so far."""

    sock: socket.socket
    tls: ssl.SSLObject
    incoming: ssl.MemoryBIO
    outgoing: ssl.MemoryBIO
    first: bytes


async def dial(address: Address, identity: Identity | None, *, connect_s: float = CONNECT_S) -> Dialled:
    """Connect, shake hands and wait for the node's first frame; identity None: maintenance mode.

    `connect_s`: within which it has to take the connection. Raises Unreachable with its cause as `code`; `sent` is "no".
    """
    try:
        context = context_for(identity)
    except (ssl.SSLError, ValueError) as error:
        message = f"our own certificate or key is unusable: {error}"
        raise Unreachable(message, source=str(address), sent="no", code="IdentityUnusable") from error
    sock = await _connect(address, connect_s)
    try:
        return await _hello(sock, address, context)
    except BaseException:
        sock.close()
        raise


async def _connect(address: Address, within_s: float) -> socket.socket:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(within_s):
            family, target = await _resolve(loop, address)
            sock = socket.socket(family, socket.SOCK_STREAM)
            sock.setblocking(False)
            try:
                _keep_alive(sock)
                await loop.sock_connect(sock, target)
            except BaseException:
                sock.close()
                raise
            return sock
    except TimeoutError as error:
        message = f"no answer to the connection within {within_s:g} s"
        raise Unreachable(message, source=str(address), sent="no", code="ConnectTimeout") from error
    except OSError as error:
        raise of_dial(error, str(address)) from error


async def _resolve(loop: asyncio.AbstractEventLoop, address: Address) -> tuple[int, Any]:
    """An IP address as it stands: looking it up would queue behind names that a dead DNS server holds."""
    try:
        version = ipaddress.ip_address(address.host).version
    except ValueError:
        found = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
        return found[0][0], found[0][4]
    return (socket.AF_INET if version == 4 else socket.AF_INET6), (address.host, address.port)


def _keep_alive(sock: socket.socket) -> None:
    """Let the kernel notice a vanished node: gRPC pings would draw GOAWAY from Talos."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        (socket.TCP_KEEPIDLE, 1),
        (socket.TCP_KEEPINTVL, 1),
        (socket.TCP_KEEPCNT, 3),
        (socket.TCP_USER_TIMEOUT, 3000),
    ):
        sock.setsockopt(socket.IPPROTO_TCP, option, value)


async def _hello(sock: socket.socket, address: Address, context: ssl.SSLContext) -> Dialled:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    name = address.host if context.check_hostname else None
    tls = context.wrap_bio(incoming, outgoing, server_hostname=name)
    stage = "HandshakeTimeout", "the machine accepts connections and does not shake hands"
    try:
        async with asyncio.timeout(HELLO_S):
            await _handshake(sock, tls, incoming, outgoing)
            stage = "HelloTimeout", "the machine shakes hands and does not speak"
            first = await _first_frame(sock, tls, incoming, outgoing)
    except TimeoutError as error:
        raise Unreachable(
            f"{stage[1]} within {HELLO_S:g} s", source=str(address), sent="no", code=stage[0]
        ) from error
    except OSError as error:
        raise of_dial(error, str(address)) from error
    if tls.selected_alpn_protocol() not in ("h2", None) or first[3] != _SETTINGS:
        raise Unreachable(
            "answers, but not as a Talos machine", source=str(address), sent="no", code="NotTalos"
        )
    return Dialled(sock, tls, incoming, outgoing, first)


async def _handshake(
    sock: socket.socket, tls: ssl.SSLObject, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO
) -> None:
    while True:
        try:
            tls.do_handshake()
            done = True
        except ssl.SSLWantReadError:
            done = False
        await _send(sock, outgoing)
        if done:
            return
        await _receive(sock, incoming)


async def _first_frame(
    sock: socket.socket, tls: ssl.SSLObject, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO
) -> bytes:
    first = b""
    while len(first) < _FRAME_HEADER:
        try:
            data = tls.read(RECORD)
            if not data:
                raise ConnectionResetError("the machine closed the connection before it said anything")
            first += data
        except ssl.SSLWantReadError:
            await _send(sock, outgoing)
            await _receive(sock, incoming)
    return first


async def _send(sock: socket.socket, outgoing: ssl.MemoryBIO) -> None:
    data = outgoing.read()
    if data:
        await asyncio.get_running_loop().sock_sendall(sock, data)


async def _receive(sock: socket.socket, incoming: ssl.MemoryBIO) -> None:
    data = await asyncio.get_running_loop().sock_recv(sock, PIECE)
    if data:
        incoming.write(data)
    else:
        incoming.write_eof()
