"""`etcd.snapshot.copy`: a snapshot of etcd, streamed from a member into a store and published only when whole.

Work of minutes beside the passes, in bounded memory. Size, beginning and the digest at the end are checked while it
streams; whatever is wrong publishes nothing and takes back what was begun, as does `stop`. What an earlier try
left open under the key is taken back first. Neighbours: `engine.etcdfile.streaming` checks, `stores` opens.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from engine import protocol
from engine.base.errors import Denied, Garbled, OutcomeUnknown, RemoteError
from engine.capabilities.asking import OPAQUE, TEXT, form
from engine.capabilities.contract import Capability, Ports
from engine.capabilities.stores import opened
from engine.etcdfile.streaming import PassingSnapshot
from engine.etcdfile.verify import BadSnapshot
from engine.ports.stores.contract import Store

log = logging.getLogger(__name__)

_METHOD: Final = "machine.MachineService/EtcdSnapshot"
_PIECE: Final = "common.Data"
_DIAL_S: Final = 10.0
_SILENCE_S: Final = 20.0
_BATCH: Final = 256 << 10


def copy(ports: Ports, given: Mapping[str, Any], stop: threading.Event) -> dict[str, Any]:
    """Bytes, SHA-256 of the file and seconds it took.

    Raises Garbled (BadSnapshot) for what is no whole snapshot, OutcomeUnknown (Stopped) after `stop`, and any
    RemoteError of the machine or the store.
    """
    started = time.monotonic()
    store, key = opened(given["store"]), given["key"]
    try:
        store.abort_open(key)
    except Denied as error:
        log.warning("what an earlier try may have left open cannot be looked for: %s", error)
    identity = ports.identities.of(given["identity"], ports.now)
    request = protocol.to_message(protocol.methods()[_METHOD], {})
    stream = ports.talos.receive(
        given["endpoint"], identity, _METHOD, request, dial_s=_DIAL_S, silence_s=_SILENCE_S
    )
    with stream as messages:
        size, sha256 = copied(messages, store, key, stop, source=given["endpoint"])
    return {"bytes": size, "sha256": sha256, "seconds": round(time.monotonic() - started, 3)}


def copied(
    messages: Iterable[memoryview], store: Store, key: str, stop: threading.Event, *, source: str
) -> tuple[int, str]:
    """Size and digest of the snapshot in these messages (serialized common.Data), now in the store."""
    passing = PassingSnapshot()
    read: Callable[[bytes], Any] = protocol.message_class(_PIECE).FromString
    batch = bytearray()
    try:
        with store.upload(key, stop) as upload:
            for message in messages:
                piece = read(bytes(message))
                if piece.metadata.error:
                    raise _told(piece.metadata, source)
                batch += piece.bytes
                if stop.is_set():
                    raise OutcomeUnknown("stopped; nothing was published", source=source, code="Stopped")
                if len(batch) >= _BATCH:
                    passing.take(batch)
                    upload.write(batch)
                    # Not emptied: the trace of a try that failed may still look at it.
                    batch = bytearray()
            passing.take(batch)
            upload.write(batch)
            sha256 = passing.end()
            upload.complete(sha256)
    except BadSnapshot as error:
        text = f"what the machine sent is no whole snapshot: {error}; nothing was published"
        raise Garbled(text, source=source, operation=_METHOD, sent="yes", code="BadSnapshot") from None
    return passing.size, sha256


def _told(metadata: Any, source: str) -> RemoteError:
    """The error of a node that hides inside an OK stream."""
    from engine.ports.talos.failures import of_node

    return of_node(metadata.status.code, metadata.error, source, _METHOD)


CAPABILITY = Capability(
    name="etcd.snapshot.copy",
    summary="Copy a snapshot of etcd from a member into a store; published only when it is whole.",
    effect="write",
    deadline_s=3600.0,
    input=form({"endpoint": TEXT, "identity": OPAQUE, "store": OPAQUE, "key": TEXT}),
    output=form({"bytes": {"type": "integer"}, "sha256": TEXT, "seconds": {"type": "number"}}),
    work=copy,
    talos_methods=(_METHOD,),
)
