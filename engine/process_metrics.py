"""What the process itself tells: CPU, memory, descriptors, garbage collection, the Python version.

The only module that imports prometheus_client, whose collectors have the names that every
dashboard knows. Never counts anything of ours. Neighbour: `app` joins the text to the series.
"""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import generate_latest


def process_text() -> Callable[[], bytes]:
    """A function that gives the metrics of this process, text format 0.0.4."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return lambda: generate_latest(registry)
