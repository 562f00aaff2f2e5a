"""How the bring-up of a cluster looks while it goes on: a live table, or plain lines.

Shows what it is told and decides nothing. On a terminal the table is drawn over itself, with notes above
it; elsewhere one line tells each change, so that a log reads as a story. Safe for use by many threads.
Neighbour: `app` feeds it.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TextIO

from engine.cli.text import age, table

_HEADER: Final = ("object", "state", "for", "step")
_CLEAR_BELOW: Final = "\x1b[J"
_GREEN, _YELLOW, _PLAIN = "\x1b[32m", "\x1b[33m", "\x1b[0m"


@dataclass(frozen=True, slots=True)
class Row:
    """One machine or object: what it is at, in which state, and for how many seconds (`age`)."""

    machine: str
    step: str
    state: str
    age: float = 0.0
    ready: bool = False


class Progress(Protocol):
    """Where the bring-up is shown."""

    def update(self, rows: Sequence[Row]) -> None:
        """Show `rows` in place of the former ones."""

    def note(self, line: str) -> None:
        """Tell one thing that stays readable."""

    def close(self) -> None:
        """End; the last rows stay on the screen."""


def progress(stream: TextIO | None = None, *, live: bool | None = None) -> Progress:
    """A live table where `stream` (stdout) is a terminal that can be drawn on, plain lines elsewhere."""
    out = sys.stdout if stream is None else stream
    if live is None:
        live = out.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    return LiveTable(out) if live else PlainLines(out)


class PlainLines:
    """One line for each change of a row's step or state."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._shown: dict[str, tuple[str, str]] = {}
        self._lock = threading.Lock()

    def update(self, rows: Sequence[Row]) -> None:
        with self._lock:
            for row in rows:
                if self._shown.get(row.machine) != (row.step, row.state):
                    self._shown[row.machine] = row.step, row.state
                    self._write(f"{row.machine}: {row.state}" + (f" ({row.step})" if row.step else ""))
            for gone in self._shown.keys() - {row.machine for row in rows}:
                del self._shown[gone]
                self._write(f"{gone}: gone")

    def note(self, line: str) -> None:
        with self._lock:
            self._write(line)

    def close(self) -> None:
        """Nothing is left to do."""

    def _write(self, line: str) -> None:
        self._out.write(line + "\n")
        self._out.flush()


class LiveTable:
    """A table that is drawn again at each change; it shows no more rows than fit on the screen."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._rows: Sequence[Row] = ()
        self._height = 0
        self._lock = threading.Lock()
        self._colours = "NO_COLOR" not in os.environ

    def update(self, rows: Sequence[Row]) -> None:
        with self._lock:
            self._rows = tuple(rows)
            self._draw([])

    def note(self, line: str) -> None:
        with self._lock:
            self._draw(line.splitlines())

    def close(self) -> None:
        with self._lock:
            self._height = 0

    def _draw(self, notes: Sequence[str]) -> None:
        width, height = shutil.get_terminal_size()
        lines = self._lines(width, max(height - 2, 3))
        up = f"\x1b[{self._height}A" if self._height else ""
        self._out.write("\r" + up + _CLEAR_BELOW + "".join(f"{line}\n" for line in (*notes, *lines)))
        self._out.flush()
        self._height = len(lines)

    def _lines(self, width: int, height: int) -> list[str]:
        if not self._rows:
            return []
        shown = self._rows
        if len(shown) > height - 2:
            shown = sorted(shown, key=lambda row: row.ready)[: height - 2]
        cells = [(row.machine, row.state, age(row.age), row.step) for row in shown]
        head, *body = table(_HEADER, cells)
        lines = [head[:width]]
        lines += [self._coloured(line[:width], row) for line, row in zip(body, shown, strict=True)]
        hidden = len(self._rows) - len(shown)
        return [*lines, f"and {hidden} more"] if hidden else lines

    def _coloured(self, line: str, row: Row) -> str:
        if not self._colours:
            return line
        return f"{_GREEN if row.ready else _YELLOW}{line}{_PLAIN}"
