"""Find buckets and keys in a bbolt database, with a few reads a page and never the whole file in memory.

Whatever stands in the file, nothing worse happens than a BadDatabase: page numbers, counts and lengths are
checked before they are followed. Neighbours: `layout` has the bytes, `verify` and the simulator ask here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO, Final

from engine.base.errors import EngineError
from engine.etcdfile.layout import (
    BRANCH,
    BRANCH_ENTRY,
    BUCKET,
    HEADER,
    IS_BUCKET,
    LEAF,
    LEAF_ENTRY,
    PAGE,
    Meta,
    read_meta,
)

_DEEPEST: Final = 16
_LONGEST_KEY: Final = 65536


class BadDatabase(EngineError):
    """The file is no database of bbolt, or a broken one."""


class Database:
    """A database in the first `size` bytes of an open file. Raises BadDatabase, OSError."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._size = size
        self.meta = self._newest()

    def bucket(
        self, name: str, wanted: Callable[[bytes], bool] = lambda _: True
    ) -> Iterator[tuple[bytes, bytes]]:
        """The entries of a bucket in the order of their keys; a value whose key is not `wanted` is left empty."""
        for key, flags, place, length in self._entries(self.meta.root * PAGE, 0):
            if key == name.encode() and flags & IS_BUCKET:
                yield from self._inside(place, length, wanted)
                return
        raise BadDatabase(f"the database has no bucket {name!r}")

    def _inside(
        self, place: int, length: int, wanted: Callable[[bytes], bool]
    ) -> Iterator[tuple[bytes, bytes]]:
        root, _ = BUCKET.unpack(self._bytes(place, BUCKET.size))
        start = root * PAGE if root else place + BUCKET.size
        if not root and length < BUCKET.size + HEADER.size:
            raise BadDatabase("a bucket without a page")
        for key, _, where, size in self._entries(start, 0):
            yield key, self._bytes(where, size) if wanted(key) else b""

    def _newest(self) -> Meta:
        pages = [self._read(0, PAGE), self._read(PAGE, PAGE)]
        found = [meta for page in pages if (meta := read_meta(page)) is not None and meta.page_size == PAGE]
        if not found:
            raise BadDatabase("it is no bbolt database: neither of its first two pages says so")
        meta = max(found, key=lambda each: each.transaction)
        if meta.pages * PAGE > self._size:
            raise BadDatabase(f"{meta.pages * PAGE} bytes are told of and {self._size} are there")
        return meta

    def _entries(self, start: int, depth: int) -> Iterator[tuple[bytes, int, int, int]]:
        """Key, flags, place and length of the value, of every entry below the page at `start`."""
        if depth > _DEEPEST:
            raise BadDatabase("its tree has no end")
        _, kind, count, _ = HEADER.unpack(self._bytes(start, HEADER.size))
        size = {LEAF: LEAF_ENTRY.size, BRANCH: BRANCH_ENTRY.size}.get(kind)
        if size is None:
            raise BadDatabase(f"page {start // PAGE} is neither a leaf nor a branch")
        heads = self._bytes(start + HEADER.size, count * size)
        for index in range(count):
            head, here = heads[index * size : (index + 1) * size], start + HEADER.size + index * size
            if kind == BRANCH:
                _, _, page = BRANCH_ENTRY.unpack(head)
                yield from self._entries(page * PAGE, depth + 1)
                continue
            flags, distance, key_size, value_size = LEAF_ENTRY.unpack(head)
            if key_size > _LONGEST_KEY:
                raise BadDatabase(f"page {start // PAGE} has a key of {key_size} bytes")
            place = here + distance
            yield self._bytes(place, key_size), flags, place + key_size, value_size

    def _bytes(self, place: int, length: int) -> bytes:
        if place + length > self._size or place + length > self.meta.pages * PAGE:
            raise BadDatabase(f"something is said to stand at byte {place}, behind its end")
        return self._read(place, length)

    def _read(self, place: int, length: int) -> bytes:
        self._file.seek(place)
        return self._file.read(max(0, min(length, self._size - place)))
