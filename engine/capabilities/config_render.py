"""`talos.config.render`: the configuration of one machine, or the mistake that stands in its way.

Promises: the same input gives the same text and digest; a mistake of the user is a value that
names the patch, so that the rule can show it as a condition. `asked` tells what was asked for from every
other wish, whichever version of the engine makes a configuration of it and whatever disk is found; the
addresses of the cluster are not part of the wish. Neighbour: `engine.machineconfig.render`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from engine.base.values import Opaque, reveal
from engine.capabilities.contract import Capability

if TYPE_CHECKING:
    from engine.machineconfig.render import Fault

_OPAQUE = {"type": "string", "x-opaque": True}
_TEXT_OR_NULL = {"type": ["string", "null"]}
_TEXT = {"type": "string"}


def render_config(given: Mapping[str, Any], now: float) -> dict[str, Any]:
    """Render; with `whole`, take the user's text. Never raises for what the user gave."""
    from engine.machineconfig.errors import ConfigError
    from engine.machineconfig.render import Fault, render, whole
    from engine.machineconfig.secretsbundle import check_fit

    text, secrets = reveal(given.get("whole")), reveal(given["secrets"])
    try:
        check_fit(secrets, now)
    except ConfigError as error:
        return _refused(Fault("secretBundle", error.path, error.reason, error.message))
    if text is not None:
        result = whole(text, role=given["role"], bundle_text=secrets)
    else:
        result = render(
            role=given["role"],
            cluster_text=reveal(given["cluster"]),
            bundle_text=secrets,
            machine=reveal(given.get("machine")) or {},
            disk=given.get("disk") or "",
            version=given.get("version") or "",
            installed=bool(given.get("installed")),
        )
    if isinstance(result, Fault):
        return _refused(result)
    return {
        "text": Opaque(result.text),
        "redacted": result.redacted,
        "digest": result.digest,
        "asked": _asked(given, text),
        "error": None,
    }


def _refused(fault: Fault) -> dict[str, Any]:
    error = {"patch": fault.patch, "path": fault.path, "reason": fault.reason, "message": fault.message}
    return {"text": None, "redacted": None, "digest": None, "asked": None, "error": error}


def _said(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What is set to something: a field that a later version knows, and nobody has set, makes no other wish."""
    nothing: tuple[Any, ...] = (None, False, "", "{}", (), [], {}, "cluster.local")
    return {key: value for key, value in fields.items() if value not in nothing}


def _asked(given: Mapping[str, Any], whole_text: str | None) -> str:
    """Thirty-two hex digits over the wish, once it is known to make a configuration."""
    from engine.machineconfig.cluster import load_cluster

    wish: list[Any]
    if whole_text is not None:
        wish = [whole_text.strip()]
    else:
        cluster, machine = load_cluster(reveal(given["cluster"])), reveal(given.get("machine")) or {}
        said = _said(asdict(cluster)), _said(machine)
        wish = [given["role"], *said, reveal(given["secrets"]), given.get("version") or ""]
    text = json.dumps(wish, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


CAPABILITY = Capability(
    name="talos.config.render",
    summary="The machine configuration of one machine: generated, patched and checked.",
    effect="pure",
    memo=True,
    input={
        "type": "object",
        "required": ["role", "cluster", "secrets"],
        "properties": {
            "role": {"type": "string", "enum": ["controlplane", "worker"]},
            "cluster": _TEXT,
            "secrets": _OPAQUE,
            "machine": {"type": ["object", "null"], "x-kubernetes-preserve-unknown-fields": True},
            "disk": _TEXT,
            "installed": {"type": "boolean"},
            "version": _TEXT,
            "whole": _TEXT,
        },
        "additionalProperties": False,
    },
    output={
        "type": "object",
        "required": ["text", "redacted", "digest", "asked", "error"],
        "properties": {
            "text": {"type": ["string", "null"], "x-opaque": True},
            "redacted": _TEXT_OR_NULL,
            "digest": _TEXT_OR_NULL,
            "asked": _TEXT_OR_NULL,
            "error": {
                "type": ["object", "null"],
                "required": ["patch", "path", "reason", "message"],
                "properties": {"patch": _TEXT, "path": _TEXT, "reason": _TEXT, "message": _TEXT},
                "additionalProperties": False,
            },
        },
        "additionalProperties": False,
    },
    run=render_config,
)
