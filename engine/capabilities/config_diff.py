"""`talos.config.diff`: where the configuration that a machine runs differs from the wanted one.

Compares the parsed documents with the machine's own, never with what was sent to it earlier. A wanted
configuration that names no install disk leaves the one that the machine runs from. The
comparison of two given texts is kept, so that a machine at rest costs one read. What it tells of the values is
fit for eyes. Neighbours: `engine.machineconfig.diff` compares, `engine.machineconfig.changes` tells.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from engine import protocol
from engine.base.errors import Garbled
from engine.capabilities.asking import OPAQUE, TEXT, TEXTS, ask, form
from engine.capabilities.contract import Capability, Ports

GET: Final = "cosi.resource.State/Get"
_TYPE = "MachineConfigs.config.talos.dev"
_NOT_CONFIGURED = "(not configured)"
_KEPT = 4096


@dataclass(frozen=True, slots=True)
class _Difference:
    """Where two texts differ, how in words, and which two texts they are."""

    paths: list[str]
    changes: list[str]
    digest: str


_compared: OrderedDict[tuple[str, str], _Difference] = OrderedDict()


async def diff(ports: Ports, given: Mapping[str, Any]) -> dict[str, Any]:
    """Whether the machine's configuration differs, at which paths and how. `digest` is that of what it runs
    and what is wanted: another one as soon as either is another one.
    """
    if given["stage"] == "maintenance":
        return {"differs": True, "paths": [_NOT_CONFIGURED], "changes": [_NOT_CONFIGURED], "digest": ""}
    live = await live_config(ports, given["endpoint"], given["identity"])
    found = await _compare(live, given["wanted"].reveal(), given["endpoint"])
    return {
        "differs": bool(found.paths),
        "paths": found.paths,
        "changes": found.changes,
        "digest": found.digest,
    }


async def live_config(ports: Ports, address: str, bundle: Any) -> str:
    """The text of the configuration that a machine runs; raises RemoteError."""
    kind = protocol.cosi_types()[_TYPE]
    request = {"namespace": kind.namespace, "type": _TYPE, "id": kind.default_id}
    replies = await ask(ports, address, bundle, GET, request)
    spec: Any = protocol.message_class(kind.message).FromString(replies[0].resource.spec.proto_spec)
    return bytes(spec.yaml_marshalled).decode()


async def _compare(live: str, wanted: str, source: str) -> _Difference:
    key = _digest(live), _digest(wanted)
    found = _compared.get(key)
    if found is None:
        # Parsing takes milliseconds; the loop has other machines to serve.
        found = await asyncio.to_thread(_differing, live, wanted, source)
        _compared[key] = found
        while len(_compared) > _KEPT:
            _compared.popitem(last=False)
    return found


def _differing(live: str, wanted: str, source: str) -> _Difference:
    from engine.machineconfig import changes
    from engine.machineconfig import diff as comparison
    from engine.machineconfig.errors import ConfigError
    from engine.machineconfig.installdisk import keeping_disk

    try:
        kept = keeping_disk(live, wanted)
        paths = comparison.text_paths(live, kept)
        return _Difference(paths, changes.told(live, kept) if paths else [], _digest(live + "\0" + kept))
    except ConfigError as error:
        raise Garbled(
            f"the machine's configuration cannot be read: {error}", source=source, sent="yes"
        ) from None


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


CAPABILITY = Capability(
    name="talos.config.diff",
    summary="Where the configuration that a machine runs differs from the wanted one.",
    effect="read",
    deadline_s=10.0,
    input=form({"endpoint": TEXT, "stage": TEXT, "identity": OPAQUE, "wanted": OPAQUE}),
    output=form({"differs": {"type": "boolean"}, "paths": TEXTS, "changes": TEXTS, "digest": TEXT}),
    start=diff,
    talos_methods=(GET,),
)
