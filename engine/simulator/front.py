"""The TLS listener of one machine, and the table of who is connected to whom.

Each machine listens on its own loopback address. A connection that completes the handshake gets
a Relay of its own to the gRPC server, whose socket name says which connection it is: that is how
a handler knows the machine and the caller's roles. Can be silent, refuse or show a wrong
certificate on purpose.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.base.errors import SettingsError
from engine.simulator.relay import Relay
from engine.simulator.tls import client_roles

if TYPE_CHECKING:
    from engine.simulator.machine import Machine

BACKLOG = 128


@dataclass(frozen=True, slots=True)
class Peer:
    """Who speaks on a connection: the machine spoken to and the caller's verified roles."""

    machine: Machine
    roles: frozenset[str]
    certified: bool
    relay: Relay


class Connections:
    """Open connections by the name of their backend socket, in the private folder `directory`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.server = directory / "grpc"
        self._peers: dict[str, Peer] = {}
        self._count = 0

    def peer(self, grpc_peer: str) -> Peer | None:
        """The peer behind what grpcio calls `context.peer()`."""
        return self._peers.get(grpc_peer.rpartition("/")[2])

    def admit(self, machine: Machine, relay: Relay, tls: ssl.SSLObject) -> socket.socket | None:
        """Open the backend of a connection that has shaken hands; None when its certificate is refused."""
        roles = client_roles(tls)
        if roles is None:
            return None
        self._count += 1
        name = f"conn-{self._count}"
        path = self.directory / name
        backend = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            backend.bind(str(path))
            backend.connect(str(self.server))
            backend.setblocking(False)
        except OSError:
            backend.close()
            raise
        finally:
            path.unlink(missing_ok=True)
        certified = tls.getpeercert(binary_form=True) is not None
        granted = roles if certified else frozenset({"os:reader"})
        self._peers[name] = Peer(machine, granted, certified, relay)
        relay.on_close(lambda: self._peers.pop(name, None))
        return backend


class Front:
    """One machine's port. `serve` opens or re-keys it, `close` closes it with all connections."""

    def __init__(self, address: str, port: int, machine: Machine, connections: Connections) -> None:
        self._place = (address, port)
        self._machine = machine
        self._connections = connections
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
        """`silence`: accept and never speak. `refuse`: do not listen. Empty: as it should be.

        Anything else: show new connections the certificate of `impostor`. A fault outlasts reboots.
        Only silence keeps the connections that there are; healing cuts them too.
        """
        self._fault, self._impostor = name, impostor
        if name == "silence":
            for relay in self._relays:
                relay.freeze(True)
        else:
            self._cut()
        self._settle()

    def _settle(self) -> None:
        up = self._context is not None and self._fault != "refuse"
        wanted = up or self._fault == "silence"
        if wanted and self._listener is None:
            self._listen()
        elif not wanted:
            self._deaf()

    def _listen(self) -> None:
        self._listener = self._bind()
        asyncio.get_running_loop().add_reader(self._listener, self._accept)

    def _bind(self) -> socket.socket:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(self._place)
            listener.listen(BACKLOG)
        except OSError as error:
            listener.close()
            where = f"{self._place[0]}:{self._place[1]}"
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
            relay = Relay(
                client, context, lambda relay, tls: self._connections.admit(self._machine, relay, tls)
            )
            self._relays.add(relay)
            relay.on_close(lambda: self._relays.discard(relay))
            relay.freeze(self._fault == "silence")
            relay.start()
