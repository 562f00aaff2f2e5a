"""How an Intent looks in `status.intents`, both ways. Pure; no neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.base.model import Intent
from engine.base.timestamps import epoch, rfc3339


def as_written(intent: Intent) -> dict[str, Any]:
    """An intent as `status.intents` keeps it; `at` is RFC 3339 there and seconds here."""
    return {
        "key": intent.key,
        "target": intent.target,
        "attempt": intent.attempt,
        "at": rfc3339(intent.at),
        "done": intent.done,
    }


def intent_from(written: Mapping[str, Any]) -> Intent:
    """The intent that one entry of `status.intents` tells of."""
    return Intent(
        key=written["key"],
        target=written.get("target", ""),
        attempt=int(written.get("attempt", 1)),
        at=epoch(written["at"]),
        done=bool(written.get("done", False)),
    )
