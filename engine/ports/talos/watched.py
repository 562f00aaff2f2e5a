"""What is to be watched of a machine, and who is told. Only data and a protocol: costs nothing to import.

Neighbours: `watches` and `watching` do it, `engine.streams` wants it.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Protocol

from engine.base.errors import RemoteError
from engine.ports.talos.address import Address
from engine.ports.talos.identity import Identity


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream: its method and serialized request. Its first `preamble` messages tell how things are, later ones
    what has changed; the first of all says that the stream is open.
    """

    method: str
    request: bytes
    preamble: int = 1


@dataclass(frozen=True, slots=True)
class Wanted:
    """Where, as whom (None: maintenance mode), and what."""

    address: Address
    identity: Identity | None
    streams: tuple[Stream, ...]


class Told(Protocol):
    """Whoever is told. Called on the loop of the client: be quick."""

    def opened(self, token: Hashable) -> None:
        """All streams are open: what changes from now on is told."""

    def message(self, token: Hashable, message: memoryview) -> bool:
        """One message after the preamble; whether the stream goes on being of use."""

    def ended(self, token: Hashable, error: RemoteError) -> None:
        """What was open is not any more."""

    def refused(self, token: Hashable, stream: int, error: RemoteError) -> None:
        """The machine will not serve this stream, however often it is asked."""
