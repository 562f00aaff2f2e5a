"""The log of calls received: one JSON line per call, written as soon as it has ended.

Lines have `time` (RFC 3339, when the call began), `machine`, `role` ("none" without a client
certificate), `method`, `code`, `seconds`; and `"reply": "lost"` where the call was decided and the
caller gone before it could be told. Never payload, never key material. A connection that
makes no call leaves no line.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from engine.base.errors import SettingsError


class CallLog:
    """Appends to `path`; does nothing without one."""

    def __init__(self, path: Path | None) -> None:
        self._descriptor = -1
        if path is None:
            return
        try:
            self._descriptor = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o644)
        except OSError as error:
            raise SettingsError(f"{path}: {error.strerror}; name a file that can be written") from error

    def add(
        self,
        began: float,
        machine: str,
        roles: Iterable[str],
        method: str,
        code: str,
        seconds: float,
        *,
        lost: bool = False,
    ) -> None:
        """Write one line in one system call."""
        if self._descriptor < 0:
            return
        line = {
            "time": datetime.fromtimestamp(began, UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z"),
            "machine": machine,
            "role": ",".join(sorted(roles)) or "none",
            "method": method,
            "code": code,
            "seconds": round(seconds, 4),
        }
        if lost:
            line["reply"] = "lost"
        os.write(self._descriptor, (json.dumps(line) + "\n").encode())

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
