"""The table of who is connected to which machine, and the way from a connection to the gRPC server.

A connection that completes the handshake gets a socket of its own to the gRPC server, whose name
says which connection it is: that is how a handler knows the machine and the caller's roles.
Neighbours: `front` accepts, `tls` reads the roles, `dispatch` asks who a peer is.
"""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

from engine.simulator.machine import Machine
from engine.simulator.relay import Relay
from engine.simulator.tls import client_roles


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
