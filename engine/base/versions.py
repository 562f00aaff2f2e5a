"""Which of two resource versions comes first.

Kubernetes: versions of one resource are decimal numbers and may be compared as such (KEP-5504).
Pure. No neighbours.
"""

from __future__ import annotations


def is_older(version: str, than: str) -> bool:
    """Whether a version comes before another; of versions that are no numbers nobody can say."""
    return version.isdecimal() and than.isdecimal() and int(version) < int(than)
