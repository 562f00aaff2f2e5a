"""Keep every metric series as text that is ready to be scraped.

An object's gauges are replaced as a set and vanish with it; counters and histograms grow, and vanish
only with the object they are said to live with. A scrape joins what is there and works out only
what changed since the last one. Each family has a limit of series; what goes over it, and a series
that another object has already, is counted instead of kept. Which families there are is declared
from outside. Neighbour: `families` holds the series of one family.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable

from engine.base.model import Sample
from engine.exposition import Form, Labels
from engine.series.families import Cells, Family, Owned


class SeriesStore:
    """All series of one process; safe for use by many threads."""

    def __init__(self, overflow: str | None = None) -> None:
        """`overflow` is the name of the counter, by `family`, of what was not kept; None: nobody counts."""
        self._lock = threading.Lock()
        self._families: dict[str, Owned | Cells] = {}
        self._owned: dict[Hashable, set[str]] = defaultdict(set)
        self._collectors: dict[Hashable, Callable[[], Iterable[Sample]]] = {}
        self._overflow = overflow
        if overflow is not None:
            text = "Samples that were not kept: over the limit of their family, or a series of another object"
            self.declare(Family(name=overflow, type="counter", help=text, labels=("family",)))

    def declare(self, family: Family) -> None:
        """Make a family known. Declaring it again adds its `start` label sets.

        Raises ValueError when two families of one name differ in type, labels, buckets or aggregate.
        """
        with self._lock:
            kept = self._families.get(family.name)
            if kept is None:
                kept = Cells(family) if family.has_cells else Owned(family)
                self._families[family.name] = kept
            elif not kept.family.agrees_with(family):
                raise ValueError(f"metric {family.name} is declared twice, and not alike")
            if isinstance(kept, Cells):
                for labels in family.start:
                    kept.cell(labels)

    def replace(self, owner: Hashable, samples: Iterable[Sample]) -> None:
        """Put the gauges of one owner in the place of those it had, all at once."""
        grouped: dict[str, dict[Labels, float]] = defaultdict(dict)
        for sample in samples:
            grouped[sample.family][sample.labels] = sample.value
        with self._lock:
            for name in self._owned[owner] - grouped.keys():
                self._put(name, owner, {})
            for name, values in grouped.items():
                self._put(name, owner, values)
            self._owned[owner] = set(grouped)

    def drop(self, owner: Hashable) -> None:
        """Forget the gauges of one owner, and the counters and histograms that live with it."""
        with self._lock:
            for name in self._owned.pop(owner, ()):
                self._put(name, owner, {})
            for family in self._families.values():
                if isinstance(family, Cells):
                    family.forget(owner)

    def begin(self, name: str, labels: Labels, *, lives_with: Hashable = None) -> None:
        """Let a counter or histogram exist at 0 before anything is counted; `lives_with` as in `add`."""
        with self._lock:
            family = self._families[name]
            if not isinstance(family, Cells):
                raise TypeError(f"metric {name} is a gauge; replace it, do not count in it")
            if family.cell(labels, lives_with) is None:
                self._drop_sample(name, 1)

    def add(self, name: str, labels: Labels, amount: float = 1.0, *, lives_with: Hashable = None) -> None:
        """Let a counter grow; 0 makes it exist. It stays until `lives_with` is dropped (None: for ever)."""
        if amount < 0:
            raise ValueError(f"counter {name} cannot shrink")
        self._count(name, labels, amount, lives_with)

    def observe(self, name: str, labels: Labels, value: float, *, lives_with: Hashable = None) -> None:
        """Count one value in a histogram; `lives_with` as in `add`."""
        self._count(name, labels, value, lives_with)

    def collect(self, owner: Hashable, gauges: Callable[[], Iterable[Sample]]) -> None:
        """Have `gauges()` asked at each scrape, and its samples take the place of `owner`'s."""
        self._collectors[owner] = gauges

    def render(self, form: Form = "text") -> bytes:
        """Every family in this form, without what ends an exposition."""
        for owner, gauges in list(self._collectors.items()):
            self.replace(owner, gauges())
        parts: list[bytes] = []
        with self._lock:
            for family in self._families.values():
                family.write(parts, form)
        return b"".join(parts)

    def _count(self, name: str, labels: Labels, value: float, lives_with: Hashable) -> None:
        with self._lock:
            family = self._families[name]
            if not isinstance(family, Cells):
                raise TypeError(f"metric {name} is a gauge; replace it, do not count in it")
            cell = family.cell(labels, lives_with)
            if cell is None:
                self._drop_sample(name, 1)
            else:
                cell.count(value)

    def _put(self, name: str, owner: Hashable, values: dict[Labels, float]) -> None:
        dropped = self._families[name].put(owner, values)
        if dropped:
            self._drop_sample(name, dropped)

    def _drop_sample(self, name: str, amount: int) -> None:
        if self._overflow is None:
            return
        counter = self._families[self._overflow]
        assert isinstance(counter, Cells)
        cell = counter.cell((("family", name),))
        if cell is not None:
            cell.count(amount)
