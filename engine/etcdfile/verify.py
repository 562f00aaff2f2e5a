"""Say whether a file is a whole snapshot of etcd, and what it holds.

Whole means: a size that leaves 32 bytes over multiples of 512, those 32 bytes the SHA-256 of all before, and
before them a bbolt database with the buckets of etcd. Reads the file once in pieces, and a few pages of it again.
Source: etcd's etcdutl (snapshot restore: trailer; snapshot status: buckets and revisions). Neighbour: `read`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from engine.base.errors import EngineError
from engine.etcdfile.read import BadDatabase, Database

TRAILER: Final = 32
SECTOR: Final = 512
_PIECE: Final = 1 << 20
_REVISION: Final = 17
_FILLED: Final = 8


class BadSnapshot(EngineError):
    """The file cannot be restored from; the text says why."""


@dataclass(frozen=True, slots=True)
class SnapshotFacts:
    """A snapshot that is whole: its bytes, its digest as `sha256sum` tells it, last revision, how many entries of keys, members."""

    size: int
    sha256: str
    revision: int
    entries: int
    members: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """For people and scripts."""
        return {
            "size": self.size,
            "sha256": self.sha256,
            "revision": self.revision,
            "entries": self.entries,
            "members": list(self.members),
        }


def has_trailer(size: int) -> bool:
    """Whether a file of so many bytes ends with a digest, as etcd tells it."""
    return size % SECTOR == TRAILER


def verify_file(path: Path, *, progress: Callable[[int], None] | None = None) -> SnapshotFacts:
    """What the file holds; raises BadSnapshot, OSError. `progress` is told the bytes read so far."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size <= TRAILER or not has_trailer(size):
            raise BadSnapshot(
                f"{size} bytes: the digest at its end is missing or cut; it is no whole snapshot"
            )
        digest = _digest(file, size - TRAILER, progress)
        found, told = digest.digest(), file.read(TRAILER)
        if found != told:
            raise BadSnapshot(
                f"its digest is {found.hex()} and its trailer says {told.hex()}: it was changed or cut"
            )
        digest.update(told)
        try:
            return _facts(file, size, digest.hexdigest())
        except BadDatabase as error:
            raise BadSnapshot(str(error)) from error


def _digest(file: BinaryIO, length: int, progress: Callable[[int], None] | None) -> hashlib._Hash:
    digest, left = hashlib.sha256(), length
    while left:
        piece = file.read(min(left, _PIECE))
        if not piece:
            raise BadSnapshot("it became shorter while it was read")
        digest.update(piece)
        left -= len(piece)
        if progress is not None:
            progress(length - left)
    return digest


def _none(_key: bytes) -> bool:
    return False


def _facts(file: BinaryIO, size: int, sha256: str) -> SnapshotFacts:
    database = Database(file, size - TRAILER)
    revision = entries = 0
    for key, _ in database.bucket("key", _none):
        if len(key) < _REVISION:
            raise BadDatabase("its bucket of keys holds something that is no revision of etcd")
        revision, entries = int.from_bytes(key[:_FILLED], "big"), entries + 1
    members = tuple(sorted(key.decode("ascii", "replace") for key, _ in database.bucket("members", _none)))
    list(database.bucket("meta", _none))
    return SnapshotFacts(size, sha256, revision, entries, members)
