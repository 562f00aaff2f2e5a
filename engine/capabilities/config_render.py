"""`talos.config.render`: the configuration of one machine, or the mistake that stands in its way.

Promises: the same input gives the same text and digest; a mistake of the user is a value that
names the patch, so that the rule can show it as a condition. Neighbour: `engine.machineconfig.render`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.base.values import Opaque, reveal
from engine.capabilities.contract import Capability

_OPAQUE = {"type": "string", "x-opaque": True}
_TEXT_OR_NULL = {"type": ["string", "null"]}
_TEXT = {"type": "string"}


def render_config(given: Mapping[str, Any], _now: float) -> dict[str, Any]:
    """Render; with `whole`, take the user's text. Never raises for what the user gave."""
    from engine.machineconfig.render import Fault, render, whole

    text = reveal(given.get("whole"))
    if text is not None:
        result = whole(text)
    else:
        result = render(
            role=given["role"],
            cluster_text=reveal(given["cluster"]),
            bundle_text=reveal(given["secrets"]),
            machine=reveal(given.get("machine")) or {},
            disk=given.get("disk") or "",
            version=given.get("version") or "",
            installed=bool(given.get("installed")),
        )
    if isinstance(result, Fault):
        error = {
            "patch": result.patch,
            "path": result.path,
            "reason": result.reason,
            "message": result.message,
        }
        return {"text": None, "redacted": None, "digest": None, "error": error}
    return {
        "text": Opaque(result.text),
        "redacted": result.redacted,
        "digest": result.digest,
        "error": None,
    }


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
        "required": ["text", "redacted", "digest", "error"],
        "properties": {
            "text": {"type": ["string", "null"], "x-opaque": True},
            "redacted": _TEXT_OR_NULL,
            "digest": _TEXT_OR_NULL,
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
