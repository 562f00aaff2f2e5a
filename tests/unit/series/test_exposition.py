"""The text format, judged by Prometheus's own parser where it can be."""

from __future__ import annotations

import math
import random

import pytest
from prometheus_client.parser import text_string_to_metric_families

from engine.exposition import head, number, sample_line


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (1, "1"),
        (-1.0, "-1"),
        (0.005, "0.005"),
        (2.5, "2.5"),
        (999999, "999999"),
        (1e6, "1e+06"),
        (1234567, "1.234567e+06"),
        (0.0001, "0.0001"),
        (0.00001, "1e-05"),
        (1.5e-7, "1.5e-07"),
        (1e21, "1e+21"),
        (123456.5, "123456.5"),
        (1764041000.123, "1.764041000123e+09"),
        (-2e-300, "-2e-300"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
        (math.nan, "NaN"),
    ],
)
def test_numbers_look_as_prometheus_writes_them(value, text):
    assert number(value) == text


def test_every_number_reads_back_as_itself():
    chance = random.Random(7)
    for _ in range(2000):
        value = chance.uniform(-1, 1) * 10 ** chance.randint(-30, 30)
        assert float(number(value)) == value


def test_any_text_survives_as_label_and_as_help():
    nasty = 'a"b\\c\nd{}=,é'
    text = head("m", "gauge", nasty) + sample_line("m", (("one", nasty), ("two", "")), 1)
    family = next(iter(text_string_to_metric_families(text)))
    assert family.documentation == nasty
    assert family.samples[0].labels == {"one": nasty, "two": ""}
