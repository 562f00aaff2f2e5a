"""Put the messages of a gRPC stream together from the pieces in which they come.

Each message has a prefix of five bytes: whether it is compressed, and its length. Never keeps more
than the message that is not whole yet. Pure. Source: gRPC's PROTOCOL-HTTP2, Length-Prefixed-Message.
Neighbour: `http2`, which lets most messages past without a copy.
"""

from __future__ import annotations

from typing import Final

PREFIX: Final = 5


class Compressed(Exception):
    """A message is compressed, which nobody asked for."""


class TooLong(Exception):
    """A message is longer than the caller takes."""


class Assembly:
    """The message in the making."""

    __slots__ = ("_in_prefix", "_longest", "_pieces", "_wanted")

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._pieces = bytearray()
        self._wanted = PREFIX
        self._in_prefix = True

    @property
    def is_empty(self) -> bool:
        """Whether the next byte begins a message."""
        return self._in_prefix and not self._pieces

    def take(self, body: memoryview, messages: list[memoryview]) -> None:
        """Add to `messages` those that this piece completes. Raises Compressed or TooLong."""
        while len(body):
            piece = body[: self._wanted - len(self._pieces)]
            self._pieces += piece
            body = body[len(piece) :]
            if len(self._pieces) < self._wanted:
                return
            if self._in_prefix:
                self._wanted, self._in_prefix = self._length(), False
                self._pieces.clear()
            if not self._in_prefix and len(self._pieces) == self._wanted:
                messages.append(memoryview(bytes(self._pieces)))
                self._pieces.clear()
                self._wanted, self._in_prefix = PREFIX, True

    def _length(self) -> int:
        if self._pieces[0]:
            raise Compressed("a compressed message, which was not asked for")
        length = int.from_bytes(self._pieces[1:], "big")
        if length > self._longest:
            raise TooLong(f"a message of {length} bytes; at most {self._longest} are taken")
        return length
