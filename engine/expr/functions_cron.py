"""Functions over cron schedules; their results are in UTC.

A schedule that cannot be read is an error of evaluation, but for `cron_error`, which tells it.
Pure. Neighbours: `cron` computes, `functions` collects.
"""

from __future__ import annotations

from engine.base.timestamps import rfc3339
from engine.base.values import Value
from engine.expr.cron import parse_cron
from engine.expr.functions_text import seconds_of
from engine.expr.signatures import function


@function("cron_error(schedule: string) -> string?")
def cron_error(schedule: Value) -> Value:
    """What is wrong with a schedule; null when it can be read."""
    try:
        parse_cron(schedule)
    except ValueError as problem:
        return str(problem)
    return None


@function("cron_next(schedule: string, after: timestamp) -> timestamp")
def cron_next(schedule: Value, after: Value) -> Value:
    """The first time of a schedule later than a time."""
    return rfc3339(parse_cron(schedule).next(seconds_of(after)))


@function("cron_due(schedule: string, last: timestamp, until: timestamp) -> timestamp?")
def cron_due(schedule: Value, last: Value, until: Value) -> Value:
    """The latest time of a schedule later than `last` and not after `until`; null when none is due."""
    found = parse_cron(schedule).last(seconds_of(last), seconds_of(until))
    return None if found is None else rfc3339(found)
