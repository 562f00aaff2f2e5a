"""The order in which Talos writes the keys of a map (talos-config-rules 38).

Signs first, then numbers by their value, then letters. Pure; no neighbours.
"""

from __future__ import annotations

import re
from functools import lru_cache

_PARTS = re.compile(r"\d+|\D")


@lru_cache(maxsize=4096)
def natural(key: str) -> tuple[tuple[int, int, str], ...]:
    """A sort key: one part for each run of digits and for each other character."""
    return tuple(_part(part) for part in _PARTS.findall(key))


def _part(part: str) -> tuple[int, int, str]:
    if part.isdigit():
        return (1, int(part), part)
    return (2 if part.isalpha() else 0, 0, part)
