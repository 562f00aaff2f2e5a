from __future__ import annotations

import pytest

from engine.boards.promql import NotPromql, read_query

LABELS = {"a_total": {"job", "x"}, "b_bucket": {"job", "y", "le"}, "c": {"job", "x", "z"}}


def read(text):
    return read_query(text, lambda name: frozenset(LABELS.get(name, ())))


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("a_total", {"job", "x"}),
        ("sum(rate(a_total[5m]))", set()),
        ("sum by (x) (rate(a_total[$__rate_interval]))", {"x"}),
        ("sum without (x) (c)", {"job", "z"}),
        ("topk(3, c)", {"job", "x", "z"}),
        ("histogram_quantile(0.9, sum by (y, le) (rate(b_bucket[5m])))", {"y"}),
        ('label_replace(c, "n", "$1", "z", "(.+)")', {"job", "x", "z", "n"}),
        ("sum by (x) (c) / on (x) sum by (x) (a_total)", {"x"}),
        ("-(max_over_time(c[1h:1m]))", {"job", "x", "z"}),
        ("sum(c) or vector(0)", set()),
    ],
)
def test_the_labels_of_an_answer_are_known(text, labels):
    found = read(text)
    assert (found.labels, found.wanted) == (labels, [])


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("sum by (q) (c)", ("q", "by")),
        ("sum by (x) (c) / on (z) a_total", ("z", "on")),
        ("histogram_quantile(0.9, sum by (y) (rate(b_bucket[5m])))", ("le", "histogram_quantile")),
        ('label_replace(c, "n", "$1", "q", "(.+)")', ("q", "label_replace")),
    ],
)
def test_a_label_that_cannot_be_there_is_found(text, wanted):
    assert read(text).wanted == [wanted]


def test_every_selector_is_found_with_its_labels_and_its_function():
    found = read('sum(rate(a_total{x=~"v"}[5m])) + on () c{z!=""}')
    assert [(each.name, dict(each.matchers), each.inside) for each in found.selectors] == [
        ("a_total", {"x": "v"}, "rate"),
        ("c", {"z": ""}, ""),
    ]


@pytest.mark.parametrize("text", ["rate(c)", "sum(c", "c{x=}", "", "sum by (x) c c"])
def test_what_is_no_query_is_refused_with_the_reason(text):
    with pytest.raises(NotPromql, match=r"."):
        read(text)
