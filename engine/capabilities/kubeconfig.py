"""`talos.kubeconfig`: the administrator's kubeconfig of a cluster, from whichever node gives it first.

The archive that a node sends is unpacked in memory with limits, whatever it claims about itself.
"""

from __future__ import annotations

import io
import tarfile
import zlib
from collections.abc import Mapping
from typing import Any

from engine.base.errors import Garbled, RemoteError
from engine.base.values import Opaque
from engine.capabilities.asking import OPAQUE, TEXTS, ask, form
from engine.capabilities.contract import Capability, Ports

_METHOD = "machine.MachineService/Kubeconfig"
_FILE = "kubeconfig"
_LARGEST = 1 << 20
_TAR_OVERHEAD = 64 << 10


async def kubeconfig(ports: Ports, given: Mapping[str, Any]) -> dict[str, Any]:
    """The text of the kubeconfig; raises the last node's error when none gives it."""
    last: RemoteError | None = None
    for address in given["endpoints"]:
        try:
            chunks = await ask(ports, address, given["identity"], _METHOD)
            return {"text": Opaque(unpacked(b"".join(chunk.bytes for chunk in chunks), address))}
        except RemoteError as error:
            last = error
    raise last or RemoteError("no endpoint to ask", operation=_METHOD, sent="no", code="NoEndpoints")


def unpacked(archive: bytes, source: str) -> str:
    """The one file of the archive; raises Garbled when it is anything else."""
    try:
        plain = zlib.decompressobj(wbits=31).decompress(archive, _LARGEST + _TAR_OVERHEAD)
        with tarfile.open(fileobj=io.BytesIO(plain), mode="r:") as content:
            entry = content.next()
            stream = content.extractfile(entry) if entry is not None and entry.isfile() else None
            if entry is None or stream is None or entry.name.lstrip("./") != _FILE or entry.size > _LARGEST:
                raise Garbled("the archive holds no kubeconfig", source=source, operation=_METHOD, sent="yes")
            return stream.read(_LARGEST).decode()
    except (zlib.error, tarfile.TarError, OSError, EOFError, UnicodeDecodeError) as error:
        raise Garbled(
            f"the archive cannot be read: {error}", source=source, operation=_METHOD, sent="yes"
        ) from error


CAPABILITY = Capability(
    name="talos.kubeconfig",
    summary="The administrator's kubeconfig of a cluster.",
    effect="read",
    deadline_s=20.0,
    input=form({"endpoints": TEXTS, "identity": OPAQUE}),
    output=form({"text": OPAQUE}),
    start=kubeconfig,
    talos_methods=(_METHOD,),
)
