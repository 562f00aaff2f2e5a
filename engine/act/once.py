"""Write down what must happen once before it is sent: key, target, attempt and time.

The record is written under the object's resource version, so of two engines only one writes it,
and a crash between writing and sending is met later as "maybe sent" and answered by looking.
The target is chosen at the first attempt and kept for ever. Never sends anything itself.
Neighbours: `perform` opens an intent, `decide` reads it back, `report` closes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.base.errors import Conflict
from engine.base.intents import as_written
from engine.base.kinds import Key
from engine.base.model import Intent, PlannedStep
from engine.freshness import OwnWrites
from engine.ports.kube.client import KubeClient


class Intents:
    """Keeps `status.intents` of objects."""

    def __init__(self, client: KubeClient, writes: OwnWrites) -> None:
        self._client = client
        self._writes = writes

    def open(self, key: Key, step: PlannedStep, seen: Mapping[str, Any], now: float) -> None:
        """Record one more attempt of the step's intent.

        Raises Conflict (nothing was sent) when the object changed since the pass began or when
        somebody else wrote the intent first.
        """
        intent = step.once
        if intent is None:
            raise ValueError(f"step {step.id} has no intent")
        live = self._client.get(key)
        for field in ("uid", "generation", "deletionTimestamp"):
            if live["metadata"].get(field) != seen["metadata"].get(field):
                raise Conflict(f"{field} has changed since this pass began", sent="no", operation=step.id)
        written = (live.get("status") or {}).get("intents") or []
        current = next((item for item in written if item["key"] == intent.key), None)
        if (current is None) != (intent.attempt == 0) or (current and current["attempt"] != intent.attempt):
            raise Conflict(
                f"the intent {intent.key} was written by somebody else", sent="no", operation=step.id
            )
        entry = as_written(Intent(key=intent.key, target=intent.target, attempt=intent.attempt + 1, at=now))
        body = {
            "metadata": {"resourceVersion": live["metadata"]["resourceVersion"]},
            "status": {"intents": [*(item for item in written if item["key"] != intent.key), entry]},
        }
        self._writes.note(key, seen, live)
        self._writes.note(key, live, self._client.patch_status(key, body))
