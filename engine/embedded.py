"""The embedded API beside the engine: a child process that lives as long as the engine does.

A process of its own, so that validating and storing objects does not take turns with passes over one
interpreter lock. It ends when the engine stops, and also when the engine is killed: its standard input
is a pipe that only the engine holds. Neighbours: `app` starts and stops it; `engine.standalone` is
what runs in it.
"""

from __future__ import annotations

import select
import subprocess
import sys
from pathlib import Path

from engine.base.errors import SettingsError

CONTROL_SOCKET = "api-control.sock"
_START_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 15.0
_TAKE_OVER_S = 5
"""How long the API of an engine that was killed a moment ago may still hold the folder."""


class EmbeddedApi:
    """The API whose state lies in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.kubeconfig = folder / "kubeconfig"

    @property
    def has_ended(self) -> bool:
        """True when it was started and does not run any more."""
        return self._process is not None and self._process.poll() is not None

    @property
    def log(self) -> Path:
        """Where it says what went wrong."""
        return self._folder / "api.log"

    def start(self) -> None:
        """Begin to start it; `wait_until_ready` says whether it came up."""
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "engine.standalone", str(self._folder)),
                    *("--with-parent", "--wait", str(_TAKE_OVER_S)),
                    *("--control", str(self._folder / CONTROL_SOCKET)),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                # Ctrl-C at a terminal is for the engine, which ends this one after its last write.
                start_new_session=True,
            )

    def wait_until_ready(self) -> None:
        """Return once requests are answered; raises SettingsError with what it says otherwise."""
        process = self._process
        if process is None or process.stdout is None:
            raise SettingsError("the embedded API was not started")
        ready, _, _ = select.select([process.stdout], [], [], _START_TIMEOUT_S)
        if ready and process.stdout.readline():
            return
        self.stop()
        said = self.log.read_text(errors="replace").strip().removeprefix("error: ")
        raise SettingsError(said or f"the embedded API did not start within {_START_TIMEOUT_S:g} s")

    def stop(self) -> None:
        """End it, with everything that was acknowledged on the disk."""
        process, self._process = self._process, None
        if process is None:
            return
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
