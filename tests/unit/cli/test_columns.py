"""Columns as CustomResourceDefinitions declare them, and how ages and tables read."""

from __future__ import annotations

import pytest

from engine.cli.columns import Column, columns_of, find
from engine.cli.text import age, table

THING = {
    "metadata": {"name": "m", "annotations": {"a.b/c": "x"}, "creationTimestamp": "2026-01-01T00:00:00Z"},
    "spec": {"paused": False, "list": [1, 2]},
    "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Deleting", "status": "False"}]},
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (".metadata.name", "m"),
        (".spec.list[1]", 2),
        (".spec.list[7]", None),
        (".spec.absent.deeper", None),
        ('.status.conditions[?(@.type=="Ready")].status', "True"),
        (".status.conditions[?(@.type=='Deleting')].status", "False"),
        ('.status.conditions[?(@.type=="Other")].status', None),
        ("{not a path}", None),
        (r".metadata.annotations.a\.b/c", "x"),
        (".metadata.annotations['a.b/c']", "x"),
    ],
)
def test_a_column_finds_its_value(path, value):
    assert find(THING, path) == value


def test_what_is_not_there_reads_as_none():
    assert Column("X", ".spec.absent").text(THING, 0) == "<none>"


def test_a_boolean_reads_as_json_writes_it():
    assert Column("Paused", ".spec.paused", "boolean").text(THING, 0) == "false"


def test_a_date_reads_as_an_age():
    assert Column("Age", ".metadata.creationTimestamp", "date").text(THING, 1767225600 + 125) == "2m5s"


def test_readiness_is_shown_beside_the_declared_columns_and_age_is_last():
    declared = [
        {"name": "State", "type": "string", "jsonPath": ".status.state"},
        {"name": "Hidden", "type": "string", "jsonPath": ".x", "priority": 1},
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    ]
    definition = {"spec": {"versions": [{"name": "v1", "additionalPrinterColumns": declared}]}}
    assert [column.name for column in columns_of(definition, "v1")] == ["State", "Ready", "Reason", "Age"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0s"),
        (0, "0s"),
        (119, "119s"),
        (125, "2m5s"),
        (180, "3m"),
        (3000, "50m"),
        (7 * 3600, "7h"),
        (3e5, "3d"),
    ],
)
def test_an_age_is_short(seconds, text):
    assert age(seconds) == text


def test_the_columns_of_a_table_line_up():
    assert table(["Name", "State"], [["a", "Ready"], ["longer", "x"]]) == [
        "NAME     STATE",
        "a        Ready",
        "longer   x",
    ]
