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
        # Clocks that are put back by half an hour, and those that are put forward by as much.
        ("TZ=Australia/Lord_Howe 45 1 * * *", "2024-04-06T14:45:00Z", "2024-04-06T15:15"),
        ("TZ=Australia/Lord_Howe 15 2 * * *", "2024-10-05T00:00:00Z", "2024-10-06T15:15"),
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
    ("schedule", "day", "slots"),
    [
        # What robfig/cron's own table says of these nights, in its spec_test.go.
        ("TZ=America/New_York 0 * * * *", "2012-03-11T04:30Z", ["05:00", "06:00", "07:00", "08:00"]),
        ("TZ=America/New_York 0 * * * *", "2012-11-04T03:30Z", ["04:00", "05:00", "06:00", "07:00"]),
        ("TZ=America/New_York 30 2 * * *", "2012-03-10T12:00Z", ["06:30", "06:30", "06:30", "06:30"]),
        ("TZ=America/New_York 0 1 * * *", "2012-11-04T03:30Z", ["05:00", "06:00", "06:00", "06:00"]),
        ("TZ=America/New_York 0 2 * * *", "2012-11-04T03:30Z", ["07:00", "07:00", "07:00", "07:00"]),
        ("CRON_TZ=Europe/Berlin */30 2 * * *", "2024-10-26T22:00Z", ["00:00", "00:30", "01:00", "01:30"]),
        ("CRON_TZ=Europe/Berlin */30 2 * * *", "2024-03-30T12:00Z", ["00:00", "00:30", "00:00", "00:30"]),
    ],
)
def test_no_slot_is_missed_or_made_up_in_the_night_in_which_clocks_change(schedule, day, slots):
    found, moment = [], at(day)
    for _ in slots:
        moment = parse_cron(schedule).next(moment)
        found.append(moment)
    assert [shown(each)[-5:] for each in found] == slots
    assert [parse_cron(schedule).last(at(day), each) for each in found] == found


@pytest.mark.parametrize(("first", "last"), [("2024-03-29", "2024-04-02"), ("2024-10-25", "2024-10-29")])
def test_every_minute_is_a_slot_also_when_clocks_change(first, last):
    schedule, moment = parse_cron("CRON_TZ=Europe/Berlin * * * * *"), at(f"{first}T00:00Z")
    while moment < at(f"{last}T00:00Z"):
        following = schedule.next(moment)
        assert following - moment == 60
        moment = following


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
