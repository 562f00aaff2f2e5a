"""Durations as rules and flags write them: `90s`, `5m`, `2h30m`, `7d`. Pure; no neighbours."""

from __future__ import annotations

import re
from typing import Final

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION: Final = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+")
_PART: Final = re.compile(r"([\d.]+)(ms|s|m|h|d)")


def seconds_in(duration: str | float) -> float:
    """Seconds of a duration; a number counts seconds already. Raises ValueError."""
    if not isinstance(duration, str):
        return float(duration)
    if not _DURATION.fullmatch(duration):
        raise ValueError(f"{duration!r} is no duration; write 90s, 5m, 2h30m or 7d")
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(duration))
