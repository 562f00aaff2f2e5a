"""Keep every metric series as text that is ready to be scraped.

An object's gauges are replaced as a set and vanish with it; counters and histograms grow and stay.
A scrape joins what is there and computes nothing. Each family has a limit of series, and what goes
over it is counted instead of kept. Which families there are is declared from outside; none is
known here but the overflow's own. Neighbours: `measure` fills it, `serve` renders it.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from engine.base.model import Sample
from engine.exposition import head, number, sample_line

Labels = tuple[tuple[str, str], ...]
FamilyType = Literal["gauge", "counter", "histogram"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One declared metric family. `start`: label sets that exist at 0 from the beginning."""

    name: str
    type: FamilyType
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    start: tuple[Labels, ...] = ()
    aggregate: Literal["sum"] | None = None
    max_series: int = 10_000


@dataclass(slots=True)
class _Histogram:
    """One histogram series: a count for each bucket, not cumulated, and the sum."""

    counts: list[int]
    total: float = 0.0


@dataclass(slots=True)
class _Kept:
    """What one family holds."""

    family: Family
    texts: dict[Hashable, dict[Labels, str]] = field(default_factory=dict)
    parts: dict[Hashable, dict[Labels, float]] = field(default_factory=dict)
    counters: dict[Labels, float] = field(default_factory=dict)
    histograms: dict[Labels, _Histogram] = field(default_factory=dict)
    size: int = 0


class SeriesStore:
    """All series of one process; safe for use by many threads."""

    def __init__(self, overflow: str = "talos_engine_series_dropped_total") -> None:
        self._lock = threading.Lock()
        self._kept: dict[str, _Kept] = {}
        self._owned: dict[Hashable, set[str]] = defaultdict(set)
        self._overflow = overflow
        self.declare(Family(name=overflow, type="counter", help="Series that went over their family's limit", labels=("family",)))

    def declare(self, family: Family) -> None:
        """Make a family known. Declaring it again is allowed when nothing differs but `start`.

        Raises ValueError when two families of one name differ in type or labels.
        """
        with self._lock:
            kept = self._kept.get(family.name)
            if kept is None:
                kept = self._kept[family.name] = _Kept(family)
            elif (kept.family.type, kept.family.labels, kept.family.aggregate) != (family.type, family.labels, family.aggregate):
                raise ValueError(f"metric {family.name} is declared twice, with other labels or another type")
            for labels in family.start:
                if family.type == "histogram":
                    kept.histograms.setdefault(labels, _Histogram([0] * (len(family.buckets) + 1)))
                else:
                    kept.counters.setdefault(labels, 0.0)

    def replace(self, owner: Hashable, samples: Iterable[Sample]) -> None:
        """Put the gauges of one owner in the place of those it had."""
        grouped: dict[str, dict[Labels, float]] = defaultdict(dict)
        for sample in samples:
            grouped[sample.family][sample.labels] = sample.value
        with self._lock:
            for name in self._owned[owner] - grouped.keys():
                self._take_away(self._kept[name], owner)
            for name, values in grouped.items():
                self._put(self._kept[name], owner, values)
            self._owned[owner] = set(grouped)

    def drop(self, owner: Hashable) -> None:
        """Forget the gauges of one owner."""
        with self._lock:
            for name in self._owned.pop(owner, ()):
                self._take_away(self._kept[name], owner)

    def add(self, name: str, labels: Labels, amount: float = 1.0) -> None:
        """Let a counter grow."""
        with self._lock:
            kept = self._kept[name]
            if labels not in kept.counters and len(kept.counters) >= kept.family.max_series:
                self._count_overflow(name)
                return
            kept.counters[labels] = kept.counters.get(labels, 0.0) + amount

    def observe(self, name: str, labels: Labels, value: float) -> None:
        """Count one value in a histogram."""
        with self._lock:
            kept = self._kept[name]
            histogram = kept.histograms.get(labels)
            if histogram is None:
                if len(kept.histograms) >= kept.family.max_series:
                    self._count_overflow(name)
                    return
                histogram = kept.histograms[labels] = _Histogram([0] * (len(kept.family.buckets) + 1))
            bounds = kept.family.buckets
            histogram.counts[next((at for at, bound in enumerate(bounds) if value <= bound), len(bounds))] += 1
            histogram.total += value

    def render(self) -> bytes:
        """The whole exposition, text format 0.0.4."""
        with self._lock:
            parts = []
            for kept in self._kept.values():
                lines = _lines(kept)
                if lines:
                    parts.append(head(kept.family.name, kept.family.type, kept.family.help))
                    parts.extend(lines)
        return "".join(parts).encode()

    def _put(self, kept: _Kept, owner: Hashable, values: Mapping[Labels, float]) -> None:
        if kept.family.aggregate is not None:
            kept.parts[owner] = dict(values)
            return
        before = kept.texts.get(owner, {})
        room = kept.family.max_series - kept.size + len(before)
        texts = {}
        for at, (labels, value) in enumerate(values.items()):
            if at >= room:
                self._count_overflow(kept.family.name)
                continue
            texts[labels] = sample_line(kept.family.name, labels, value)
        kept.size += len(texts) - len(before)
        kept.texts[owner] = texts

    def _take_away(self, kept: _Kept, owner: Hashable) -> None:
        kept.parts.pop(owner, None)
        kept.size -= len(kept.texts.pop(owner, ()))

    def _count_overflow(self, name: str) -> None:
        counters = self._kept[self._overflow].counters
        labels = (("family", name),)
        counters[labels] = counters.get(labels, 0.0) + 1


def _lines(kept: _Kept) -> list[str]:
    name = kept.family.name
    lines = [text for texts in kept.texts.values() for text in texts.values()]
    sums: dict[Labels, float] = defaultdict(float)
    for values in kept.parts.values():
        for labels, value in values.items():
            sums[labels] += value
    lines += [sample_line(name, labels, value) for labels, value in {**kept.counters, **sums}.items()]
    for labels, histogram in kept.histograms.items():
        lines += _histogram_lines(kept.family, labels, histogram)
    return lines


def _histogram_lines(family: Family, labels: Labels, histogram: _Histogram) -> list[str]:
    lines, below = [], 0
    for bound, count in zip((*map(number, family.buckets), "+Inf"), histogram.counts, strict=True):
        below += count
        lines.append(sample_line(f"{family.name}_bucket", (*labels, ("le", bound)), below))
    lines.append(sample_line(f"{family.name}_sum", labels, histogram.total))
    lines.append(sample_line(f"{family.name}_count", labels, below))
    return lines
