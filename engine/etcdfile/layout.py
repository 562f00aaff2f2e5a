"""The pages of a bbolt database, as bytes: header, meta, leaf, branch. Pure.

Little-endian, pages of 4096 bytes; a page may go on over the `overflow` pages behind it. Two meta pages stand
first; the valid one with the higher transaction counts. A bucket is an entry whose value is (root page, sequence),
with its only page behind it where the root is 0. Source: go.etcd.io/bbolt, internal/common (page, meta, bucket).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

PAGE: Final = 4096
MAGIC: Final = 0xED0CDAED
VERSION: Final = 2
BRANCH, LEAF, META, FREELIST = 0x01, 0x02, 0x04, 0x10
IS_BUCKET: Final = 0x01
HEADER: Final = struct.Struct("<QHHI")
"""Page: its number, flags, count of entries, further pages."""
LEAF_ENTRY: Final = struct.Struct("<IIII")
"""Entry of a leaf: flags, distance from here to its key, bytes of key and value."""
BRANCH_ENTRY: Final = struct.Struct("<IIQ")
"""Entry of a branch: distance from here to its key, bytes of the key, the page below."""
BUCKET: Final = struct.Struct("<QQ")
META_BODY: Final = struct.Struct("<IIIIQQQQQ")
"""Meta: magic, version, page size, flags, root page, its sequence, free list, pages in all, transaction."""
CHECKSUM: Final = struct.Struct("<Q")
FANOUT: Final = (PAGE - HEADER.size) // (BRANCH_ENTRY.size + 17)
"""So many entries with the keys of etcd, 17 bytes each, fit into one branch page."""

Entry = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Meta:
    """What a meta page tells: where the root is, how many pages count, which transaction wrote it."""

    page_size: int
    root: int
    freelist: int
    pages: int
    transaction: int


def fnv64a(data: bytes) -> int:
    """The checksum of a meta page: FNV-1a of 64 bits."""
    found = 0xCBF29CE484222325
    for byte in data:
        found = (found ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return found


def meta_page(number: int, meta: Meta) -> bytes:
    """A meta page; `number` is 0 or 1."""
    body = META_BODY.pack(
        MAGIC, VERSION, meta.page_size, 0, meta.root, 0, meta.freelist, meta.pages, meta.transaction
    )
    page = HEADER.pack(number, META, 0, 0) + body + CHECKSUM.pack(fnv64a(body))
    return page.ljust(PAGE, b"\0")


def free_page(number: int) -> bytes:
    """A free list without a free page."""
    return HEADER.pack(number, FREELIST, 0, 0).ljust(PAGE, b"\0")


def leaf_page(number: int, entries: Sequence[Entry], *, buckets: bool = False) -> bytes:
    """A leaf with these entries, in the order of their keys, on as many pages as it needs."""
    body = _leaf_body(entries, IS_BUCKET if buckets else 0)
    pages = pages_of(HEADER.size + len(body))
    return (HEADER.pack(number, LEAF, len(entries), pages - 1) + body).ljust(pages * PAGE, b"\0")


def branch_page(number: int, below: Sequence[tuple[bytes, int]]) -> bytes:
    """A branch over pages, each with the first key in it; at most FANOUT of them."""
    heads, keys, place = b"", b"", len(below) * BRANCH_ENTRY.size
    for index, (key, page) in enumerate(below):
        heads += BRANCH_ENTRY.pack(place - index * BRANCH_ENTRY.size, len(key), page)
        keys += key
        place += len(key)
    return (HEADER.pack(number, BRANCH, len(below), 0) + heads + keys).ljust(PAGE, b"\0")


def inline_bucket(entries: Sequence[Entry]) -> bytes:
    """The value of a small bucket, with its only page in it."""
    return BUCKET.pack(0, 0) + HEADER.pack(0, LEAF, len(entries), 0) + _leaf_body(entries, 0)


def pages_of(size: int) -> int:
    """How many pages so many bytes take."""
    return max(1, -(-size // PAGE))


def _leaf_body(entries: Sequence[Entry], flags: int) -> bytes:
    heads, rest, place = [], [], len(entries) * LEAF_ENTRY.size
    for index, (key, value) in enumerate(entries):
        heads.append(LEAF_ENTRY.pack(flags, place - index * LEAF_ENTRY.size, len(key), len(value)))
        rest += [key, value]
        place += len(key) + len(value)
    return b"".join(heads + rest)


def read_meta(page: bytes) -> Meta | None:
    """What a meta page tells, None when it is none of bbolt's or its checksum is wrong."""
    if len(page) < HEADER.size + META_BODY.size + CHECKSUM.size:
        return None
    body = page[HEADER.size : HEADER.size + META_BODY.size]
    magic, version, size, _, root, _, freelist, pages, transaction = META_BODY.unpack(body)
    (told,) = CHECKSUM.unpack_from(page, HEADER.size + META_BODY.size)
    if magic != MAGIC or version != VERSION or told != fnv64a(body):
        return None
    return Meta(size, root, freelist, pages, transaction)
