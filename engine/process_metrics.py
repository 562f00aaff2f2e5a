"""What the process itself tells: CPU, memory, descriptors, garbage collection, the Python version.

The only module that imports prometheus_client, whose collectors have the names that every
dashboard knows. Never counts anything of ours. Neighbour: `app` joins the text to the series.
"""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics import exposition as openmetrics

from engine.exposition import END, Form


def process_text() -> Callable[[Form], bytes]:
    """A function that gives the metrics of this process, without what ends an exposition."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)

    def text(form: Form) -> bytes:
        if form == "text":
            return generate_latest(registry)
        whole: bytes = openmetrics.generate_latest(registry)  # type: ignore[no-untyped-call]  # has no types
        return whole.removesuffix(END[form])

    return text
