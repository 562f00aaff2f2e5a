"""Times as Kubernetes writes them (RFC 3339, UTC) and as the engine counts them (seconds).

Never reads a clock. No neighbours.
"""

from __future__ import annotations

from datetime import UTC, datetime


def epoch(text: str) -> float:
    """Seconds since 1970 of an RFC 3339 time; raises ValueError on anything else."""
    return datetime.fromisoformat(text).timestamp()


def rfc3339(seconds: float) -> str:
    """`2026-01-31T12:00:00Z`, whole seconds, as metav1.Time is written."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def rfc3339_micro(seconds: float) -> str:
    """`2026-01-31T12:00:00.000000Z`, as metav1.MicroTime is written."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
