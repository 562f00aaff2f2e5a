"""`talos.etcd.upload`: send a snapshot that lies in a file to the machine that etcd is to be recovered on.

The file is verified first, whole; one that is not a snapshot is never sent. Sending it again is harmless as long as
nobody has ordered the recovery. Work for a job: it takes as long as the network needs.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.base.errors import CapabilityError
from engine.capabilities import etcd_recovery
from engine.capabilities.asking import OPAQUE, TEXT, form
from engine.capabilities.contract import Capability, Ports

_NAME = "talos.etcd.upload"
_SLACK_S = 60.0


def upload(ports: Ports, given: Mapping[str, Any], stop: threading.Event) -> dict[str, Any]:
    """Size, digest and last revision of what was sent. Raises RemoteError; CapabilityError (BadSnapshot)."""
    from engine.etcdfile.verify import BadSnapshot, verify_file

    path = Path(given["file"])
    try:
        facts = verify_file(path, progress=lambda _: _go_on(stop))
        _expected(facts.sha256, given.get("snapshot"))
        work = etcd_recovery.upload(ports, given["machine"], given["identity"], path, facts.size)
        longest_s = _SLACK_S + facts.size / etcd_recovery.SLOWEST_BYTES_S
        ports.talos.run(work, timeout_s=longest_s)
    except BadSnapshot as error:
        raise CapabilityError(f"{path}: {error}", operation=_NAME, sent="no", code="BadSnapshot") from error
    except OSError as error:
        message = f"{path}: {(error.strerror or str(error)).lower()}; the engine reads it where it runs"
        raise CapabilityError(message, operation=_NAME, sent="no", code="FileUnreadable") from error
    return {"size": facts.size, "sha256": facts.sha256, "revision": facts.revision}


def _expected(found: str, wanted: str | None) -> None:
    if wanted not in (None, found):
        message = f"the digest of the snapshot is {found}, and {wanted} is asked for"
        raise CapabilityError(message, operation=_NAME, sent="no", code="AnotherSnapshot")


def _go_on(stop: threading.Event) -> None:
    if stop.is_set():
        raise CapabilityError("stopped, with its object or its engine", operation=_NAME, sent="no")


CAPABILITY = Capability(
    name=_NAME,
    summary="Send a verified snapshot from a file to the machine that etcd is to be recovered on.",
    effect="write",
    deadline_s=3600.0,
    input=form(
        {"machine": TEXT, "identity": OPAQUE, "file": TEXT, "snapshot": TEXT},
        optional=frozenset({"snapshot"}),
    ),
    output=form({"size": {"type": "integer"}, "sha256": TEXT, "revision": {"type": "integer"}}),
    work=upload,
    talos_methods=(etcd_recovery.UPLOAD,),
)
