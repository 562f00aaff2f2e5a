"""What a measurement gives, and the table in which `make bench` shows it.

Pure. A figure has a limit that the project promises; whether it holds is shown, never asserted: another machine is
another figure. Neighbours: the other modules here measure.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from engine.cli.text import table


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number. `limit`, or `least`, is what is promised for it, None where nothing is."""

    what: str
    value: float
    unit: str
    limit: float | None = None
    least: float | None = None

    def cells(self) -> tuple[str, str, str, str]:
        """The row of the table: what, figure, promise, whether it holds."""
        limit, holds = "", ""
        if self.limit is not None:
            limit, holds = f"{self.limit:g} {self.unit}", "yes" if self.value <= self.limit else "NO"
        if self.least is not None:
            limit, holds = f"{self.least:g} {self.unit} or more", "yes" if self.value >= self.least else "NO"
        return self.what, f"{self.value:.3g} {self.unit}", limit, holds


def shown(figures: Sequence[Figure]) -> str:
    """The table, under the day and the machine it was measured on."""
    lines = table(("what", "measured", "promised", "holds"), [figure.cells() for figure in figures])
    return "\n".join([f"{datetime.now(UTC):%Y-%m-%d}, {machine()}", "", *lines])


def machine() -> str:
    """`2 cores of ..., Python 3.11.7`."""
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in _lines(Path("/proc/cpuinfo"))
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    cores = sum(1 for line in _lines(Path("/proc/cpuinfo")) if line.startswith("processor"))
    return f"{cores} cores of {cpu}, Python {platform.python_version()}"


def _lines(path: Path) -> list[str]:
    return path.read_text("utf-8").splitlines() if path.exists() else []
