"""Plain text for people: tables whose columns line up, and ages.

Pure. Neighbours: `get` and `bringup` print with these.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_GAP: Final = "   "


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table; the last column is not padded."""
    lines = [[cell.upper() for cell in header], *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return [
        _GAP.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]


def age(seconds: float) -> str:
    """`12s`, `3m20s`, `4h`, `6d`: short, and as exact as anybody wants to know."""
    whole = max(int(seconds), 0)
    if whole < 120:
        return f"{whole}s"
    if whole < 600:
        return f"{whole // 60}m{whole % 60}s" if whole % 60 else f"{whole // 60}m"
    if whole < 3 * 3600:
        return f"{whole // 60}m"
    if whole < 48 * 3600:
        return f"{whole // 3600}h"
    return f"{whole // 86400}d"
