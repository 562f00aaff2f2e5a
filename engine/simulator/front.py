"""The TLS listener of one machine.

Each machine listens on its own loopback address. A connection that completes the handshake and is
admitted gets a Relay of its own to the gRPC server. Can be silent, refuse or show a wrong
certificate on purpose, or have its packets vanish. Neighbours: `connections` admits, `machine` opens and closes.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import TypeAlias

from engine.base.errors import SettingsError
from engine.simulator.cable import plug_in, pull
from engine.simulator.relay import Relay

BACKLOG = 128
_MUTE = frozenset({"silence", "unplug"})

Admit: TypeAlias = Callable[[Relay, ssl.SSLObject], socket.socket | None]
"""Opens the way of a connection to the gRPC server; None when its certificate is refused."""


class Front:
    """One machine's port. `serve` opens or re-keys it, `close` closes it with all connections."""

    def __init__(self, address: str, port: int, admit: Admit) -> None:
        self._place = (address, port)
        self._admit = admit
        self._listener: socket.socket | None = None
        self._context: ssl.SSLContext | None = None
        self._fault = ""
        self._impostor: ssl.SSLContext | None = None
        self._relays: set[Relay] = set()

    def serve(self, context: ssl.SSLContext) -> None:
        """Listen, or go on listening, and show new connections these certificates."""
        self._context = context
        self._settle()

    def close(self) -> None:
        """Stop serving and cut every connection."""
        self._cut()
        self._context = None
        self._settle()

    def check(self) -> None:
        """Raises SettingsError when this address cannot be listened on now."""
        self._bind().close()

    def fault(self, name: str, impostor: ssl.SSLContext | None = None) -> None:
        """`silence`: accept and never speak. `unplug`: packets vanish both ways. `refuse`: do not listen.

        Empty: as it should be. Anything else: show new connections the certificate of `impostor`. A fault
        outlasts reboots. Only silence and unplug keep the connections that there are; healing cuts them too.
        """
        self._fault, self._impostor = name, impostor
        if name in _MUTE:
            for relay in self._relays:
                relay.freeze(True)
        else:
            self._cut()
        if name == "unplug":
            for relay in self._relays:
                relay.vanish()
        self._settle()

    def _settle(self) -> None:
        up = self._context is not None and self._fault != "refuse"
        wanted = up or self._fault in _MUTE
        if wanted and self._listener is None:
            self._listen()
        elif not wanted:
            self._deaf()
        if self._listener is not None:
            (pull if self._fault == "unplug" else plug_in)(self._listener)

    def _listen(self) -> None:
        self._listener = self._bind()
        asyncio.get_running_loop().add_reader(self._listener, self._accept)

    def _bind(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._place[0] else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(self._place)
            listener.listen(BACKLOG)
        except OSError as error:
            listener.close()
            where = f"{self._place[0]} port {self._place[1]}"
            raise SettingsError(
                f"{where}: {error.strerror}; another simulator may use this address"
            ) from error
        listener.setblocking(False)
        return listener

    def _deaf(self) -> None:
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    def _cut(self) -> None:
        for relay in list(self._relays):
            relay.close()

    def _accept(self) -> None:
        assert self._listener is not None
        with suppress(BlockingIOError):
            client, _ = self._listener.accept()
            client.setblocking(False)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            context = self._impostor or self._context or ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            relay = Relay(client, context, self._admit)
            self._relays.add(relay)
            relay.on_close(lambda: self._relays.discard(relay))
            relay.freeze(self._fault in _MUTE)
            relay.start()
