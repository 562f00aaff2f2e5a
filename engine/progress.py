"""What a bring-up looks like: one row for each object, its state word and what it waits for.

Reads only the cache. Neighbours: `app` asks, the command line draws.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.base.timestamps import epoch
from engine.cli.bringup import Row
from engine.ruleset.model import RuleSet
from engine.watch import Cache


def rows(cache: Cache, rules: RuleSet, now: float) -> list[Row]:
    """The objects of every kind that has a rule, kind by kind in the order of their names."""
    return [_row(item, now) for kind in sorted(rules.rules) for item in cache.list(kind, None, {})]


def _row(item: Mapping[str, Any], now: float) -> Row:
    status = item.get("status") or {}
    conditions = status.get("conditions") or []
    ready: Mapping[str, Any] = next((each for each in conditions if each["type"] == "Ready"), {})
    is_ready = ready.get("status") == "True"
    waits_for = "" if is_ready else str(ready.get("message") or ready.get("reason") or "")
    return Row(
        machine=f"{item['kind']} {item['metadata']['name']}",
        step=waits_for,
        state=status.get("state") or ("Ready" if is_ready else "Pending"),
        age=now - epoch(ready.get("lastTransitionTime") or item["metadata"]["creationTimestamp"]),
        ready=is_ready,
    )
