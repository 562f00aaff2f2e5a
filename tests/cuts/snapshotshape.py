"""Whether bytes are a whole snapshot of etcd, told from the format alone, by nothing of the engine's.

A snapshot is a bbolt database with the SHA-256 of itself behind it. Two meta pages stand first (go.etcd.io/bbolt,
internal/common: page header of 16 bytes; magic, version, page size, flags, root, sequence, freelist, high water, transaction, FNV-1a);
the file has the pages that the newer one counts, and every page on it knows its own number. Pure.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator

_TRAILER = 32
_HEADER = struct.Struct("<QHHI")
_META = struct.Struct("<IIIIQQQQQQ")
_MAGIC, _VERSION = 0xED0CDAED, 2
_KINDS = frozenset({0x01, 0x02, 0x04, 0x10})


def flaws(data: bytes) -> Iterator[str]:
    """Why it is no whole snapshot; nothing when it is one."""
    database, trailer = data[:-_TRAILER], data[-_TRAILER:]
    if hashlib.sha256(database).digest() != trailer:
        yield f"{len(data)} bytes that do not end in their digest"
        return
    metas = [meta for meta in (_meta(database[:4096]), _meta(database[4096:8192])) if meta is not None]
    if not metas:
        yield "no valid meta page"
        return
    size, pages, _ = max(metas, key=lambda meta: meta[2])
    if len(database) < size * pages:
        yield f"{len(database)} bytes, less than {pages} pages of {size}"
        return
    number = 0
    while number < pages:
        told, kind, _, overflow = _HEADER.unpack_from(database, number * size)
        if told != number or kind not in _KINDS:
            yield f"page {number} says that it is page {told} of kind {kind}"
            return
        number += 1 + overflow


def _meta(page: bytes) -> tuple[int, int, int] | None:
    """Page size, number of pages, transaction; None when it is no valid one."""
    if len(page) < _HEADER.size + _META.size:
        return None
    magic, version, size, _, _, _, _, pages, transaction, checksum = _META.unpack_from(page, _HEADER.size)
    told = page[_HEADER.size : _HEADER.size + _META.size - 8]
    valid = magic == _MAGIC and version == _VERSION and checksum == _fnv1a(told)
    return (size, pages, transaction) if valid else None


def _fnv1a(data: bytes) -> int:
    found = 14695981039346656037
    for byte in data:
        found = ((found ^ byte) * 1099511628211) % 2**64
    return found
