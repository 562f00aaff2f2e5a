"""Bring etcd back from an uploaded snapshot, as the etcd service of Talos does after a Bootstrap that recovers.

Not part of the reply to Bootstrap: it comes afterwards, and what is wrong shows in the state of the service. A
snapshot that cannot be read leaves the data directory empty; one with a wrong digest leaves it full and useless, so
that only a reset helps. Sources: siderolabs/talos etcd.go (recoverFromSnapshot), service_runner.go; etcd's etcdutl.
Neighbours: `life` waits here, `database` wrote the file, `cluster` forms the new etcd.
"""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from engine.base.errors import EngineError
from engine.etcdfile.read import BadDatabase, Database
from engine.etcdfile.verify import TRAILER, has_trailer
from engine.simulator.cluster import Cluster
from engine.simulator.database import FILLER_PREFIX, IDENTITY_KEY, identity_of, read_key_value
from engine.simulator.disk import RUINED
from engine.simulator.etcd import Restored

if TYPE_CHECKING:
    from engine.simulator.machine import Machine

_PIECE: Final = 1 << 20
_FIRST_OF_STATE: Final = 2


class Unreadable(EngineError):
    """The snapshot is absent or no database; nothing was written."""


class WrongDigest(EngineError):
    """The snapshot is not what its digest says, or has none; the data directory is not empty any more."""


async def recover(machine: Machine, cluster: Cluster) -> None:
    """Carry out the recovery that `machine` was ordered; on a failure etcd is Failed, with Talos's words."""
    order = machine.recovery
    assert order is not None
    machine.services.move("etcd", "Preparing", "Running pre state")
    try:
        found = await asyncio.to_thread(read_snapshot, machine.upload, check=order.check)
    except (Unreadable, WrongDigest) as error:
        machine.recovery = None
        if isinstance(error, WrongDigest):
            machine.write(etcd=RUINED)
        machine.services.move("etcd", "Failed", f"Failed to run pre stage: {error}")
        return
    size = machine.upload.stat().st_size
    machine.recovery = None
    cluster.restore(machine, found)
    machine.write(database_bytes=size - TRAILER if has_trailer(size) else size)
    machine.upload.unlink(missing_ok=True)


def read_snapshot(path: Path, *, check: bool) -> Restored:
    """What a snapshot holds; with `check` its digest has to be there and right."""
    try:
        found = _restored(path)
    except OSError as error:
        text = f"error verifying snapshot: stat {path.name}: {(error.strerror or '').lower()}"
        raise Unreadable(text) from error
    except BadDatabase as error:
        raise Unreadable(f"error verifying snapshot: {error}") from error
    if check:
        _check(path)
    return found


def _restored(path: Path) -> Restored:
    with path.open("rb") as file:
        database = Database(file, path.stat().st_size)
        list(database.bucket("meta"))
        key, revision, keys = "", 0, []
        for entry, value in database.bucket("key", _is_state):
            revision = int.from_bytes(entry[:8], "big")
            if value:
                name, content = read_key_value(value)
                if name == IDENTITY_KEY:
                    key = identity_of(content)
                elif not name.startswith(FILLER_PREFIX):
                    keys.append((name, content.decode("utf-8", "replace"), revision))
    return Restored(key, revision, tuple(keys))


def _is_state(entry: bytes) -> bool:
    return int.from_bytes(entry[:8], "big") >= _FIRST_OF_STATE


def _check(path: Path) -> None:
    size = path.stat().st_size
    if not has_trailer(size):
        raise WrongDigest(
            "error recovering from the snapshot: snapshot missing hash but --skip-hash-check=false"
        )
    digest, left = hashlib.sha256(), size - TRAILER
    with path.open("rb") as file:
        while left > 0 and (piece := file.read(min(left, _PIECE))):
            digest.update(piece)
            left -= len(piece)
        told = file.read(TRAILER)
    if digest.digest() != told:
        raise WrongDigest(
            f"error recovering from the snapshot: expected sha256 {_bytes(told)}, got {_bytes(digest.digest())}"
        )


def _bytes(digest: bytes) -> str:
    """As Go prints a slice of bytes."""
    return "[" + " ".join(str(byte) for byte in digest) + "]"
