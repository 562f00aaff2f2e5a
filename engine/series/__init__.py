"""Every metric series of the process, kept as text that is ready to be scraped.

Neighbours: `measure` fills a SeriesStore, `serve` renders it, `engine.exposition` knows the format.
"""

from __future__ import annotations

from engine.series.families import Family
from engine.series.store import SeriesStore

__all__ = ["Family", "SeriesStore"]
