"""Say of a snapshot that passes by whether it is whole, without keeping it.

The same as `verify` asks of a file but for the tree of pages: its beginning is a meta page of bbolt, its size
leaves 32 bytes over multiples of 512, and those are the SHA-256 of all before. Pure. Neighbour: the capability
that copies snapshots.
"""

from __future__ import annotations

import hashlib

from engine.etcdfile.layout import PAGE, read_meta
from engine.etcdfile.verify import TRAILER, BadSnapshot, has_trailer


class PassingSnapshot:
    """Takes a snapshot in pieces of any size. Holds a page and the last 32 bytes of it."""

    def __init__(self) -> None:
        self.size = 0
        self._begun = bytearray()
        self._tail = b""
        self._digest = hashlib.sha256()

    def take(self, piece: bytes | bytearray | memoryview) -> None:
        """The next bytes; raises BadSnapshot as soon as they cannot be a snapshot."""
        view = memoryview(piece)
        if self.size < PAGE:
            self._begun += view[: PAGE - self.size]
            if len(self._begun) == PAGE:
                self._check_begin()
        self.size += len(view)
        if len(view) >= TRAILER:
            self._digest.update(self._tail)
            self._digest.update(view[:-TRAILER])
            self._tail = bytes(view[-TRAILER:])
        else:
            both = self._tail + bytes(view)
            self._digest.update(both[:-TRAILER])
            self._tail = both[-TRAILER:]

    def end(self) -> str:
        """It was all: the SHA-256 of the whole file, in hex; raises BadSnapshot when that is no whole snapshot."""
        if self.size <= PAGE or not has_trailer(self.size):
            raise BadSnapshot(
                f"{self.size} bytes: it ended too early, the digest at its end is missing or cut"
            )
        if self._digest.digest() != self._tail:
            raise BadSnapshot("the digest at its end is not that of the bytes before it")
        whole = self._digest.copy()
        whole.update(self._tail)
        return whole.hexdigest()

    def _check_begin(self) -> None:
        if read_meta(bytes(self._begun)) is None:
            raise BadSnapshot("it does not begin as a database of etcd does")
        self._begun = bytearray(self._begun[:0])
