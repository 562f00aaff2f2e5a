"""Keep the simulator beside the engine: a child process of its own session.

A clean stop ends it, a killed engine leaves it running and the next one finds it again by the
process id it left in the folder. Never touches a process that is not that simulator. Neighbour:
`app` starts and stops it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from engine.base.errors import SettingsError

_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 15.0
_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Companion:
    """A simulator of `machines` machines with its state in `folder`."""

    folder: Path
    machines: int
    _children: list[subprocess.Popen[bytes]] = field(
        default_factory=list, init=False, repr=False, compare=False
    )

    @property
    def _record(self) -> Path:
        return self.folder / "simulator.pid"

    @property
    def _ready(self) -> Path:
        return self.folder / "machines" / "ready.json"

    def start(self) -> bool:
        """Have the machines run; True when they were found running, False when started now.

        Raises SettingsError with the end of the simulator's own output when it does not come up.
        """
        pid = self._running()
        if pid is not None and self._count() == self.machines and self._is_ready(pid):
            return True
        if pid is not None:
            self._end(pid)
        (self.folder / "machines").mkdir(parents=True, exist_ok=True)
        self._ready.unlink(missing_ok=True)
        output = self.folder / "simulator.log"
        with output.open("ab") as log:
            process = subprocess.Popen(
                self._command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self._children.append(process)
        self._record.write_text(json.dumps({"pid": process.pid, "machines": self.machines}))
        if not self._is_ready(process.pid, process):
            self.stop()
            tail = output.read_text(errors="replace")[-2000:].strip()
            raise SettingsError(f"the simulator did not start; it says:\n{tail}")
        return False

    def stop(self) -> None:
        """End the machines as a power switch would; their disks stay."""
        pid = self._running()
        if pid is not None:
            self._end(pid)
        for process in self._children:
            # One that has only just begun may not show what it is yet.
            if process.poll() is None:
                process.kill()
                process.wait()
        self._children.clear()
        self._record.unlink(missing_ok=True)

    def _is_ready(self, pid: int, process: subprocess.Popen[bytes] | None = None) -> bool:
        """Wait until the machines answer; False when their process ends before, or takes too long."""
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self._ready.exists():
            ended = process.poll() is not None if process is not None else self._running() != pid
            if ended or time.monotonic() > deadline:
                return False
            time.sleep(_POLL_S)
        return True

    def _command(self) -> list[str]:
        return [
            sys.executable,
            "-m",
            "engine",
            "simulate",
            "--machines",
            str(self.machines),
            "--directory",
            str(self.folder / "machines"),
            "--calls",
            str(self.folder / "calls.jsonl"),
        ]

    def _count(self) -> int:
        return int(json.loads(self._record.read_text()).get("machines", 0))

    def _running(self) -> int | None:
        """The process id in the record, if that process is this folder's simulator."""
        try:
            pid = int(json.loads(self._record.read_text())["pid"])
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError, KeyError, TypeError):
            return None
        ours = b"simulate" in command and str(self.folder / "machines").encode() in command
        return pid if ours else None

    def _end(self, pid: int) -> None:
        for sign in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.kill(pid, sign)
            except ProcessLookupError:
                return
            deadline = time.monotonic() + _STOP_TIMEOUT_S
            while self._running() == pid and time.monotonic() < deadline:
                for process in self._children:
                    process.poll()
                time.sleep(_POLL_S)
            if self._running() != pid:
                return
