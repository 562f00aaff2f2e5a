"""The series of one metric family, in the two ways they are kept.

`Owned`: gauges that describe objects, a piece of text for each object. `Cells`: counters,
histograms, and sums over objects, which change one by one; a cell's text is made when it is
scraped after a change. Not safe for threads: `store` holds the lock.
"""

from __future__ import annotations

import bisect
import math
from collections import defaultdict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from engine.exposition import Form, Labels, as_openmetrics, head, histogram_lines, sample_line

FamilyType = Literal["gauge", "counter", "histogram"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One declared metric family.

    `start`: label sets that exist at 0 from the beginning. `aggregate`: several objects add to one
    series. `max_series`: how many series there may be.
    """

    name: str
    type: FamilyType
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    start: tuple[Labels, ...] = ()
    aggregate: Literal["sum"] | None = None
    max_series: int = 10_000

    @property
    def has_cells(self) -> bool:
        """Whether its series change one by one, not as an object's set."""
        return self.type != "gauge" or self.aggregate is not None or bool(self.start)

    def agrees_with(self, other: Family) -> bool:
        """Whether both may be one family."""
        mine, others = ((item.type, item.labels, item.buckets, item.aggregate) for item in (self, other))
        return mine == others


def _heads(family: Family) -> Mapping[Form, bytes]:
    forms: tuple[Form, ...] = ("text", "openmetrics")
    return {form: head(family.name, family.type, family.help, form).encode() for form in forms}


class Owned:
    """Gauges of objects: each object's series as one text. A series belongs to one object only.

    What has not changed since the last scrape is one piece: a thousand small ones are nowhere near the CPU by then.
    """

    def __init__(self, family: Family) -> None:
        self.family = family
        self._heads = _heads(family)
        self._values: dict[Hashable, Mapping[Labels, float]] = {}
        self._texts: dict[Hashable, bytes] = {}
        self._joined: bytes | None = None
        self._holder: dict[Labels, Hashable] = {}

    def put(self, owner: Hashable, values: Mapping[Labels, float]) -> int:
        """Replace the series of `owner`; returns how many of them could not be kept."""
        before = self._values.get(owner, {})
        if values == before:
            return 0
        self._joined = None
        for labels in before:
            del self._holder[labels]
        kept: dict[Labels, float] = {}
        for labels, value in values.items():
            if labels not in self._holder and len(self._holder) < self.family.max_series:
                self._holder[labels] = owner
                kept[labels] = value
        if kept:
            self._values[owner] = kept
            lines = (sample_line(self.family.name, labels, value) for labels, value in kept.items())
            self._texts[owner] = "".join(lines).encode()
        else:
            self._values.pop(owner, None)
            self._texts.pop(owner, None)
        return len(values) - len(kept)

    def write(self, parts: list[bytes], form: Form) -> None:
        """Append the text of the family."""
        if self._texts:
            if self._joined is None:
                self._joined = b"".join(self._texts.values())
            parts += (self._heads[form], self._joined)


@dataclass(slots=True)
class Cell:
    """One series that changes by itself. `text` None: it has changed since it was written."""

    value: float = 0.0
    counts: list[int] = field(default_factory=list)
    addends: dict[Hashable, float] = field(default_factory=dict)
    bounds: tuple[float, ...] = ()
    text: bytes | None = None
    openmetrics: bytes | None = None
    """The lines of a histogram as OpenMetrics has them, made when they are asked for."""

    def count(self, value: float) -> None:
        """Add to the value; in a histogram also to the bucket that the value belongs to."""
        self.value += value
        if self.counts:
            self.counts[bisect.bisect_left(self.bounds, value)] += 1
        self.text = None

    def set_addend(self, owner: Hashable, value: float | None) -> None:
        """What one object adds to the sum; None: nothing any more."""
        if value is None:
            self.addends.pop(owner, None)
        else:
            self.addends[owner] = value
        self.text = None


class Cells:
    """Counters, histograms and sums."""

    def __init__(self, family: Family) -> None:
        self.family = family
        self._heads = _heads(family)
        self._cells: dict[Labels, Cell] = {}
        self._start = frozenset(family.start)
        self._living: dict[Hashable, set[Labels]] = defaultdict(set)
        self._addends: dict[Hashable, Mapping[Labels, float]] = {}

    def cell(self, labels: Labels, lives_with: Hashable = None) -> Cell | None:
        """The series of these labels, made if need be; None when there are too many already."""
        found = self._cells.get(labels)
        if found is None:
            if len(self._cells) >= self.family.max_series:
                return None
            counts = [0] * (len(self.family.buckets) + 1) if self.family.type == "histogram" else []
            found = self._cells[labels] = Cell(counts=counts, bounds=self.family.buckets)
            if lives_with is not None:
                self._living[lives_with].add(labels)
        return found

    def put(self, owner: Hashable, values: Mapping[Labels, float]) -> int:
        """Replace what `owner` adds to sums; returns how many could not be kept."""
        before = self._addends.get(owner, {})
        if values == before:
            return 0
        kept = dict(values)
        for labels in before.keys() - values.keys():
            cell = self._cells[labels]
            cell.set_addend(owner, None)
            if not cell.addends and labels not in self._start:
                del self._cells[labels]
        for labels, value in values.items():
            added = self.cell(labels)
            if added is None:
                del kept[labels]
            else:
                added.set_addend(owner, value)
        if kept:
            self._addends[owner] = kept
        else:
            self._addends.pop(owner, None)
        return len(values) - len(kept)

    def forget(self, owner: Hashable) -> None:
        """The series that live with `owner` go."""
        for labels in self._living.pop(owner, ()):
            self._cells.pop(labels, None)

    def write(self, parts: list[bytes], form: Form) -> None:
        """Append the text of the family."""
        if self._cells:
            parts.append(self._heads[form])
        of_openmetrics = form == "openmetrics" and self.family.type == "histogram"
        for labels, cell in self._cells.items():
            if cell.text is None:
                cell.text = self._line(labels, cell).encode()
                cell.openmetrics = None
            if of_openmetrics and cell.openmetrics is None:
                cell.openmetrics = as_openmetrics(cell.text.decode()).encode()
            parts.append(cell.openmetrics if of_openmetrics and cell.openmetrics is not None else cell.text)

    def _line(self, labels: Labels, cell: Cell) -> str:
        if cell.counts:
            return histogram_lines(self.family.name, labels, cell.bounds, cell.counts, cell.value)
        value = math.fsum(cell.addends.values()) if cell.addends else cell.value
        return sample_line(self.family.name, labels, value)
