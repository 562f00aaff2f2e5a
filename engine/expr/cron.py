"""Cron schedules of five fields: which minute is next, which was the last.

Lists, ranges, steps and names as cron has them; where both day fields are restricted, either may
match. `@hourly` and its like stand for what they mean, `@every 90m` counts from the time asked
about, `CRON_TZ=Europe/Berlin` before the fields names a time zone; without it, UTC. Where its clocks
are put forward, what they leave out is no slot; where they are put back, what comes twice is two slots, as
in the library of Go that Kubernetes uses (robfig/cron). Never reads a clock. Neighbour: `functions_cron` offers it to rules.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from engine.expr.durations import seconds_in

_MACROS: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_ENTRY: Final = re.compile(r"(?:(?P<all>[*?])|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>\d+))?")
_HORIZON_DAYS: Final = 366 * 8
"""The rarest day, 29 February, comes back within eight years."""


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    least: int
    most: int
    words: tuple[str, ...] = ()


_FIELDS: Final = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of week", 0, 7, _WEEKDAYS),
)


@dataclass(frozen=True, slots=True)
class Schedule:
    """The minutes, hours, days, months and weekdays (0 is Sunday) that match, in a time zone."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool
    zone: tzinfo

    def on(self, day: date) -> bool:
        """Whether any minute of that day matches."""
        if day.month not in self.months:
            return False
        in_month, in_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return (in_month or in_week) if self.either_day else (in_month and in_week)

    def next(self, after: float) -> float:
        """The first matching minute later than `after`; ValueError when none comes within eight years."""
        for day in _days(datetime.fromtimestamp(after, self.zone).date(), 1, _HORIZON_DAYS):
            slots = _slots(self, day)
            first = bisect_right(slots, after)
            if first < len(slots):
                return slots[first]
        raise ValueError("the schedule names a day that never comes")

    def last(self, after: float, until: float) -> float | None:
        """The last matching minute later than `after` and not later than `until`; None when there is none."""
        span = min(_HORIZON_DAYS, int((until - after) // 86400) + 3)
        for day in _days(datetime.fromtimestamp(until, self.zone).date(), -1, span):
            slots = _slots(self, day)
            past = bisect_right(slots, until)
            if past and slots[past - 1] > after:
                return slots[past - 1]
        return None


@dataclass(frozen=True, slots=True)
class Interval:
    """`@every`: so many seconds after the time asked about."""

    seconds: int

    def next(self, after: float) -> float:
        """One interval later."""
        return after + self.seconds

    def last(self, after: float, until: float) -> float | None:
        """The last whole number of intervals after `after`; None when not even one is over."""
        count = int((until - after) // self.seconds)
        return after + count * self.seconds if count > 0 else None


@lru_cache(maxsize=1024)
def parse_cron(text: str) -> Schedule | Interval:
    """Read a schedule; raises ValueError that says which field is wrong and why."""
    words = text.split()
    if words and words[0] == "@every":
        return _interval("".join(words[1:]))
    zone: tzinfo = UTC
    if words and words[0].startswith(("TZ=", "CRON_TZ=")):
        zone = _zone(words.pop(0).partition("=")[2])
    schedule = _schedule(_MACROS.get(" ".join(words).lower(), " ".join(words)).split(), text, zone)
    schedule.next(0)
    return schedule


def _interval(duration: str) -> Interval:
    seconds = int(seconds_in(duration))
    if seconds < 1:
        raise ValueError("@every needs at least one second")
    return Interval(seconds)


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"no time zone is called {name!r}") from error


def _schedule(fields: list[str], text: str, zone: tzinfo) -> Schedule:
    if len(fields) != len(_FIELDS):
        raise ValueError(
            f"{text!r} has {len(fields)} fields, a schedule has five: minute hour day month weekday"
        )
    minutes, hours, days, months, weekdays = (
        _parsed(part, field) for part, field in zip(fields, _FIELDS, strict=True)
    )
    stars = [fields[index][0] in "*?" for index in (2, 4)]
    return Schedule(
        tuple(sorted(minutes)),
        tuple(sorted(hours)),
        days,
        months,
        frozenset(number % 7 for number in weekdays),
        either_day=not any(stars),
        zone=zone,
    )


@lru_cache(maxsize=64)
def _slots(schedule: Schedule, day: date) -> list[float]:
    """The slots of one day, in order."""
    if not schedule.on(day):
        return []
    walls = (
        datetime(day.year, day.month, day.day, hour, minute, tzinfo=schedule.zone)
        for hour in schedule.hours
        for minute in schedule.minutes
    )
    return sorted({moment for wall in walls for moment in _moments(wall)})


def _moments(wall: datetime) -> Iterator[float]:
    """When clocks show this: once, never where they are put forward, twice where they are put back."""
    for fold in (0, 1):
        moment = wall.replace(fold=fold)
        # What the clocks leave out comes back from UTC as another time.
        if moment.astimezone(UTC).astimezone(wall.tzinfo).replace(fold=0) == wall:
            yield moment.timestamp()


def _days(first: date, step: int, count: int) -> Iterator[date]:
    return (first + timedelta(days=step * index) for index in range(max(0, count)))


def _parsed(text: str, field: _Field) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        match = _ENTRY.fullmatch(part)
        if match is None:
            raise ValueError(f"{field.name}: cannot read {part!r}")
        found.update(_range(match, field))
    return frozenset(found)


def _range(match: re.Match[str], field: _Field) -> range:
    step = int(match["step"] or 1)
    if match["all"]:
        first, last = field.least, field.most if field.words != _WEEKDAYS else 6
    else:
        first = _number(match["first"], field)
        last = _number(match["last"], field) if match["last"] else field.most if match["step"] else first
    if first > last or step == 0:
        raise ValueError(f"{field.name}: {match[0]!r} is an empty range")
    return range(first, last + 1, step)


def _number(text: str, field: _Field) -> int:
    word = text.lower()
    if word in field.words:
        return field.words.index(word) + field.least
    if not text.isdigit() or not field.least <= int(text) <= field.most:
        raise ValueError(f"{field.name}: {text!r} is not between {field.least} and {field.most}")
    return int(text)
