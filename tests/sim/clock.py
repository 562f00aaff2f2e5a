"""A time of day that a test moves, for all processes of a run: engine, embedded API and simulated machines.

Promises that it only goes forward, and never beyond the real time: certificates that were made under it are valid
for whoever looks at the real one. Neighbours: `virtualclock/sitecustomize.py` reads it, `shipped` starts programs.
"""

from __future__ import annotations

import mmap
import os
import struct
import time
from pathlib import Path

from engine.base.timestamps import rfc3339

HOOK = Path(__file__).parent / "virtualclock"
_OFFSET = struct.Struct("=d")


class VirtualClock:
    """Starts `behind_s` seconds behind the real time and runs as fast as it; `jump` moves it on."""

    def __init__(self, path: Path, *, behind_s: float) -> None:
        path.write_bytes(_OFFSET.pack(-behind_s))
        with path.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), _OFFSET.size)
        self._path = path

    @property
    def environment(self) -> dict[str, str]:
        """For the processes that are to live under it."""
        search = [str(HOOK), *filter(None, [os.environ.get("PYTHONPATH")])]
        return {**os.environ, "PYTHONPATH": os.pathsep.join(search), "VIRTUAL_CLOCK": str(self._path)}

    def now(self) -> float:
        """Seconds since 1970."""
        return time.time() + self._offset()

    def text(self) -> str:
        """The same for people."""
        return rfc3339(self.now())

    def jump(self, seconds: float) -> None:
        """Move on at once."""
        behind = self._offset() + seconds
        assert seconds >= 0
        assert behind <= 0, "the virtual time has come up with the real one; begin further behind"
        _OFFSET.pack_into(self._shared, 0, behind)

    def jump_to(self, moment: float) -> None:
        """Move on until `moment`, unless that is past."""
        self.jump(max(0.0, moment - self.now()))

    def _offset(self) -> float:
        return float(_OFFSET.unpack_from(self._shared)[0])
