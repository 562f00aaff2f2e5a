"""Write down what must happen once before it is sent: key, target, attempt and time.

The record is written under the object's resource version, so of two engines only one writes it,
and a crash between writing and sending is met later as "maybe sent" and answered by looking.
The target is chosen at the first attempt and kept for ever. Never sends anything itself.
Neighbours: `perform` opens an intent, and closes it where success is its end; `decide` reads it
back, `report` closes those whose `until` holds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from engine.base.errors import Conflict
from engine.base.intents import as_written
from engine.base.kinds import Key
from engine.base.model import Intent, PlannedStep
from engine.freshness import OwnWrites
from engine.ports.kube.client import KubeClient

_TRIES = 3


class Intents:
    """Keeps `status.intents` of objects."""

    def __init__(self, client: KubeClient, writes: OwnWrites, clock: Callable[[], float] = time.time) -> None:
        self._client = client
        self._writes = writes
        self._clock = clock

    def open(self, key: Key, step: PlannedStep, seen: Mapping[str, Any]) -> Intent:
        """Record one more attempt of the step's intent, at this very moment; what was written.

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
        opened = replace(intent, attempt=intent.attempt + 1, at=self._clock(), done=False)
        self._writes.note(key, seen, live)
        self._write(key, live, opened)
        return opened

    def close(self, key: Key, opened: Intent) -> None:
        """Record that what `open` told of was carried out; raises RemoteError."""
        for _ in range(_TRIES - 1):
            try:
                return self._write(key, self._client.get(key), replace(opened, done=True))
            except Conflict:
                continue
        return self._write(key, self._client.get(key), replace(opened, done=True))

    def _write(self, key: Key, live: Mapping[str, Any], intent: Intent) -> None:
        others = [
            item for item in (live.get("status") or {}).get("intents") or () if item["key"] != intent.key
        ]
        body = {
            "metadata": {"resourceVersion": live["metadata"]["resourceVersion"]},
            "status": {"intents": [*others, as_written(intent)]},
        }
        self._writes.note(key, live, self._client.patch_status(key, body))
