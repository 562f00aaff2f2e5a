"""The database of a simulated etcd as the file that real etcd would have: pages of bbolt, made as they are needed.

What the cluster agrees on is in it (who it is, its members, its keys, its revision); the rest of the size that was
ordered is filled with entries of up to 1 MiB. Never holds more than one of these. Pure. Neighbours: `etcd` is
what is written, `engine.etcdfile` has the pages, `api.etcd` streams them, `recovery` reads them back.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Final

from engine.base.addresses import bracketed
from engine.etcdfile.layout import (
    BUCKET,
    FANOUT,
    HEADER,
    LEAF_ENTRY,
    PAGE,
    Entry,
    Meta,
    branch_page,
    free_page,
    inline_bucket,
    leaf_page,
    meta_page,
    pages_of,
)
from engine.simulator.etcd import EtcdCluster

IDENTITY_KEY: Final = "/simulator/cluster"
FILLER_PREFIX: Final = "/simulator/filler/"
VERSION: Final = "3.6.0"
_CHUNK_PAGES: Final = 256
_FIRST_PAGE: Final = 3
_EMPTY: Final = ("alarm", "auth", "authRoles", "authUsers", "lease", "members_removed")
_BLOCK: Final = 65536
_BYTES: Final = 2
_MORE: Final = 0x80


def database_pages(known: EtcdCluster, size: int) -> Iterator[bytes]:
    """The database of this cluster in pieces of whole pages; `size` bytes, or more where its state needs more."""
    state = _state_entries(known)
    root_pages = pages_of(len(leaf_page(0, _buckets(known, 0), buckets=True)))
    state_pages = pages_of(len(leaf_page(0, state)))
    filler = _filler(size // PAGE - _FIRST_PAGE - root_pages - state_pages)
    levels = _levels(len(filler) + 1)
    first_leaf = _FIRST_PAGE + root_pages + sum(levels)
    leaves, place = [], first_leaf
    for number, pages in enumerate(filler):
        leaves.append((revision_key(1, number), place))
        place += pages
    leaves.append((state[0][0], place))
    branches, key_root = _branches(leaves, levels, _FIRST_PAGE + root_pages)
    meta = Meta(PAGE, _FIRST_PAGE, 2, place + state_pages, known.index)
    yield meta_page(0, meta) + meta_page(1, meta) + free_page(2)
    yield leaf_page(_FIRST_PAGE, _buckets(known, key_root), buckets=True)
    yield branches
    block = hashlib.shake_256(known.key.encode()).digest(_BLOCK)
    for number, pages in enumerate(filler):
        yield leaf_page(leaves[number][1], [(revision_key(1, number), _filling(number, pages, block))])
    yield leaf_page(place, state)


def revision_key(main: int, sub: int) -> bytes:
    """How etcd writes a revision as a key."""
    return main.to_bytes(8, "big") + b"_" + sub.to_bytes(8, "big")


def key_value(key: str, value: bytes, revision: int) -> bytes:
    """mvccpb.KeyValue: key 1, create_revision 2, mod_revision 3, version 4, value 5."""
    name = key.encode()
    return (
        b"\x0a" + _varint(len(name)) + name + b"\x10" + _varint(revision) + b"\x18" + _varint(revision)
        + b"\x20\x01\x2a" + _varint(len(value)) + value
    )  # fmt: skip


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _state_entries(known: EtcdCluster) -> list[Entry]:
    entries = [
        (revision_key(revision, 0), key_value(key, value.encode(), revision))
        for key, value, revision in sorted(known.keys, key=lambda item: item[2])
    ]
    identity = json.dumps({"key": known.key, "talosCluster": known.talos_cluster}).encode()
    return [
        *entries,
        (revision_key(known.revision, 1), key_value(IDENTITY_KEY, identity, known.revision)),
    ]


def _buckets(known: EtcdCluster, key_root: int) -> list[Entry]:
    members = sorted((f"{member.id:x}".encode(), _member(known, member.id)) for member in known.members)
    voters = [member.id for member in known.members if not member.learner]
    learners = [member.id for member in known.members if member.learner]
    conf = json.dumps({"voters": voters, "learners": learners, "auto_leave": False}).encode()
    meta = [
        (b"confState", conf),
        (b"consistent_index", known.index.to_bytes(8, "big")),
        (b"storageVersion", VERSION.encode()),
        (b"term", known.term.to_bytes(8, "big")),
    ]
    found = {
        **{name: inline_bucket([]) for name in _EMPTY},
        "cluster": inline_bucket([(b"clusterVersion", VERSION.encode())]),
        "key": BUCKET.pack(key_root, 0),
        "members": inline_bucket(members),
        "meta": inline_bucket(meta),
    }
    return [(name.encode(), found[name]) for name in sorted(found)]


def _member(known: EtcdCluster, member_id: int) -> bytes:
    member = known.member(member_id)
    assert member is not None
    host = bracketed(member.address)
    value = {
        "id": member.id,
        "peerURLs": [f"https://{host}:2380"],
        "name": member.name,
        "clientURLs": [f"https://{host}:2379"],
        **({"isLearner": True} if member.learner else {}),
    }
    return json.dumps(value).encode()


def _filler(pages: int) -> list[int]:
    """Leaves of at most 1 MiB that take so many pages together with the branches above all leaves."""
    leaves = max(0, pages // _CHUNK_PAGES - sum(_levels(pages // _CHUNK_PAGES + 1)))
    while True:
        left = pages - sum(_levels(leaves + 1))
        if left <= 0 or leaves > pages:
            return []
        if leaves and left <= leaves * _CHUNK_PAGES:
            spread, more = divmod(left, leaves)
            return [spread + 1] * more + [spread] * (leaves - more)
        leaves += 1


def _levels(leaves: int) -> list[int]:
    """How many branch pages stand over so many leaves, the lowest level first."""
    found: list[int] = []
    while leaves > 1:
        leaves = -(-leaves // FANOUT)
        found.append(leaves)
    return found


def _branches(leaves: list[tuple[bytes, int]], levels: list[int], first: int) -> tuple[bytes, int]:
    """The branch pages over these leaves, and the page on top."""
    written, below, place = b"", leaves, first
    for count in levels:
        above = []
        for index in range(count):
            part = below[index * FANOUT : (index + 1) * FANOUT]
            written += branch_page(place, part)
            above.append((part[0][0], place))
            place += 1
        below = above
    return written, below[0][1]


def _filling(number: int, pages: int, block: bytes) -> bytes:
    room = pages * PAGE - HEADER.size - LEAF_ENTRY.size - len(revision_key(0, 0))
    head = key_value(f"{FILLER_PREFIX}{number:08}", b"", 1)
    length = room - len(head) - 4
    value = (block * (length // _BLOCK + 1))[:length]
    return key_value(f"{FILLER_PREFIX}{number:08}", value, 1)


def identity_of(value: bytes) -> str:
    """The key of the cluster that a snapshot was taken of, "" when its value is none of ours."""
    try:
        found = json.loads(value)
    except ValueError:
        return ""
    return str(found.get("key", "")) if isinstance(found, dict) else ""


def read_key_value(data: bytes) -> tuple[str, bytes]:
    """Name and value in an mvccpb.KeyValue; empty where the bytes are none."""
    fields: dict[int, bytes] = {}
    place = 0
    while place < len(data):
        tag, place = _number(data, place)
        length, place = _number(data, place)
        if tag & 7 == _BYTES:
            fields[tag >> 3] = data[place : place + length]
            place += length
    return fields.get(1, b"").decode("utf-8", "replace"), fields.get(5, b"")


def _number(data: bytes, place: int) -> tuple[int, int]:
    found = shift = 0
    while place < len(data):
        byte = data[place]
        place += 1
        found |= (byte & 0x7F) << shift
        if byte < _MORE:
            break
        shift += 7
    return found, place
