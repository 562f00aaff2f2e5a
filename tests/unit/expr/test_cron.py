from __future__ import annotations

from datetime import UTC, datetime

import pytest

from engine.expr.cron import parse_cron


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def shown(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M")


@pytest.mark.parametrize(
    ("schedule", "after", "following"),
    [
        ("0 3 * * *", "2024-01-01T02:59:59Z", "2024-01-01T03:00"),
        ("0 3 * * *", "2024-01-01T03:00:00Z", "2024-01-02T03:00"),
        ("*/15 * * * *", "2024-01-01T00:07:00Z", "2024-01-01T00:15"),
        ("10/20 * * * *", "2024-01-01T00:31:00Z", "2024-01-01T00:50"),
        ("5,35 8-10 * * MON-FRI", "2024-01-05T10:35:00Z", "2024-01-08T08:05"),
        ("0 0 29 2 *", "2024-03-01T00:00:00Z", "2028-02-29T00:00"),
        ("0 0 1 * 0", "2024-01-02T00:00:00Z", "2024-01-07T00:00"),
        ("0 0 1 * 7", "2024-01-28T00:00:00Z", "2024-02-01T00:00"),
        ("0 0 * jan,MAR *", "2024-01-31T00:00:00Z", "2024-03-01T00:00"),
        ("@hourly", "2024-01-01T00:00:01Z", "2024-01-01T01:00"),
        ("@weekly", "2024-01-01T00:00:00Z", "2024-01-07T00:00"),
        ("@every 90m", "2024-01-01T00:00:00Z", "2024-01-01T01:30"),
        ("CRON_TZ=Europe/Berlin 0 3 * * *", "2024-01-01T00:00:00Z", "2024-01-01T02:00"),
        ("TZ=Europe/Berlin 30 2 * * *", "2024-03-30T12:00:00Z", "2024-04-01T00:30"),
        ("TZ=America/New_York 30 23 * * *", "2024-01-01T04:00:00Z", "2024-01-01T04:30"),
    ],
)
def test_the_next_slot_is_the_first_matching_minute_after_the_time(schedule, after, following):
    assert shown(parse_cron(schedule).next(at(after))) == following


@pytest.mark.parametrize(
    ("schedule", "after", "until", "latest"),
    [
        ("0 3 * * *", "2024-01-01T03:00:00Z", "2024-01-02T02:59:59Z", None),
        ("0 3 * * *", "2024-01-01T03:00:00Z", "2024-01-02T03:00:00Z", "2024-01-02T03:00"),
        ("0 3 * * *", "2024-01-01T03:00:00Z", "2024-06-02T04:00:00Z", "2024-06-02T03:00"),
        ("0 0 29 2 *", "2023-01-01T00:00:00Z", "2027-01-01T00:00:00Z", "2024-02-29T00:00"),
        (
            "TZ=America/New_York 30 23 * * *",
            "2024-01-01T00:00:00Z",
            "2024-01-02T00:00:00Z",
            "2024-01-01T04:30",
        ),
        ("@every 1h", "2024-01-01T00:10:00Z", "2024-01-01T03:00:00Z", "2024-01-01T02:10"),
        ("@every 1h", "2024-01-01T00:10:00Z", "2024-01-01T01:00:00Z", None),
        ("0 3 * * *", "2024-01-05T03:00:00Z", "2024-01-02T03:00:00Z", None),
    ],
)
def test_missed_slots_collapse_into_the_latest(schedule, after, until, latest):
    assert shown(parse_cron(schedule).last(at(after), at(until))) == latest


@pytest.mark.parametrize(
    ("schedule", "says"),
    [
        ("* * * *", "4 fields"),
        ("", "0 fields"),
        ("60 * * * *", "minute: '60'"),
        ("* 24 * * *", "hour: '24'"),
        ("* * 0 * *", "day of month: '0'"),
        ("* * * 13 *", "month: '13'"),
        ("* * * foo *", "month: 'foo'"),
        ("* * * * 8", "day of week: '8'"),
        ("5-1 * * * *", "empty range"),
        ("*/0 * * * *", "empty range"),
        ("1;2 * * * *", "cannot read"),
        ("@fortnightly", "1 fields"),
        ("@every soon", "soon"),
        ("@every 10ms", "one second"),
        ("0 0 31 2 *", "never comes"),
        ("TZ=Mars/Olympus * * * * *", "Mars/Olympus"),
    ],
)
def test_a_schedule_that_cannot_be_read_says_which_field_is_wrong(schedule, says):
    with pytest.raises(ValueError, match=r".") as caught:
        parse_cron(schedule)
    assert says in str(caught.value)
