"""`talos.etcd.upload`: send a snapshot from a file or a store to the machine that etcd is to be recovered on.

It is verified first, whole, and only then read again and sent: what is no snapshot never leaves, and what changes
meanwhile is not kept by the machine. Needs no disk. Sending it again is harmless as long as nobody has ordered the
recovery. Work for a job. Neighbours: `etcd_recovery` sends, `stores` opens, `engine.etcdfile` verifies.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from engine.base.errors import CapabilityError
from engine.capabilities import etcd_recovery
from engine.capabilities.asking import OPAQUE, TEXT, form
from engine.capabilities.contract import Capability, Ports
from engine.capabilities.stores import opened

_NAME: Final = "talos.etcd.upload"
_SLACK_S: Final = 60.0


def upload(ports: Ports, given: Mapping[str, Any], stop: threading.Event) -> dict[str, Any]:
    """Size and digest of what was sent, and to which target (of `talos.etcd.recoverable`). Raises RemoteError; CapabilityError (BadSnapshot, AnotherSnapshot, NoSource)."""
    where, pieces = _source(given)
    try:
        size, sha256 = _verified(where, pieces(), stop)
        _expected(where, sha256, given["snapshot"])
        again = _checked(where, pieces(), stop, sha256)
        machine = etcd_recovery.address_of(given["target"])
        work = etcd_recovery.upload(ports, machine, given["identity"], again, size)
        ports.talos.run(work, timeout_s=_SLACK_S + size / etcd_recovery.SLOWEST_BYTES_S)
    except OSError as error:
        message = f"{where}: {(error.strerror or str(error)).lower()}; the engine reads it where it runs"
        raise CapabilityError(message, operation=_NAME, sent="no", code="FileUnreadable") from error
    return {"size": size, "sha256": sha256, "target": given["target"]}


def _source(given: Mapping[str, Any]) -> tuple[str, Callable[[], Iterator[bytes]]]:
    file, store, key = given.get("file"), given.get("store"), given.get("key")
    if file is not None:
        return str(file), lambda: etcd_recovery.file_pieces(Path(file))
    if store is None or not key:
        message = "there is neither a file nor a stored backup to read the snapshot from"
        raise CapabilityError(message, operation=_NAME, sent="no", code="NoSource")
    return str(key), lambda: opened(store).read(str(key))


def _verified(where: str, pieces: Iterator[bytes], stop: threading.Event) -> tuple[int, str]:
    """Read all of it; its size and digest when it is a whole snapshot."""
    from engine.etcdfile.streaming import PassingSnapshot
    from engine.etcdfile.verify import BadSnapshot

    passing = PassingSnapshot()
    try:
        for piece in pieces:
            _go_on(stop)
            passing.take(piece)
        return passing.size, passing.end()
    except BadSnapshot as error:
        raise CapabilityError(f"{where}: {error}", operation=_NAME, sent="no", code="BadSnapshot") from error


def _checked(where: str, pieces: Iterator[bytes], stop: threading.Event, sha256: str) -> Iterator[bytes]:
    """The pieces once more; an error instead of the end when they are not the same any more."""
    from engine.etcdfile.streaming import PassingSnapshot
    from engine.etcdfile.verify import BadSnapshot

    passing, held = PassingSnapshot(), b""
    try:
        for piece in pieces:
            _go_on(stop)
            passing.take(piece)
            if held:
                yield held
            held = piece
        same = passing.end() == sha256
    except BadSnapshot:
        same = False
    if not same:
        message = f"{where}: it changed while it was sent"
        raise CapabilityError(message, operation=_NAME, sent="yes", code="AnotherSnapshot")
    yield held


def _expected(where: str, found: str, wanted: str) -> None:
    if wanted != found:
        message = f"{where}: its digest is {found}, and {wanted} is asked for"
        raise CapabilityError(message, operation=_NAME, sent="no", code="AnotherSnapshot")


def _go_on(stop: threading.Event) -> None:
    if stop.is_set():
        raise CapabilityError("stopped, with its object or its engine", operation=_NAME, sent="no")


CAPABILITY = Capability(
    name=_NAME,
    summary="Send a verified snapshot from a file or a store to the machine that etcd is to be recovered on.",
    effect="write",
    deadline_s=3600.0,
    input=form(
        {
            "target": TEXT,
            "identity": OPAQUE,
            "snapshot": TEXT,
            "file": TEXT,
            "store": OPAQUE,
            "key": TEXT,
        },
        optional=frozenset({"file", "store", "key"}),
    ),
    output=form({"size": {"type": "integer"}, "sha256": TEXT, "target": TEXT}),
    work=upload,
    talos_methods=(etcd_recovery.UPLOAD,),
)
