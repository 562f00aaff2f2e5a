"""What a scrape sees: complete sets, sums, limits, and nothing of what is gone."""

from __future__ import annotations

import threading

import pytest
from prometheus_client.openmetrics import parser as strict
from prometheus_client.parser import text_string_to_metric_families

from engine.base.model import Sample
from engine.series import Family, SeriesStore


@pytest.fixture
def store():
    return SeriesStore("dropped_total")


def family(name, sort="gauge", labels=("name",), **more):
    return Family(name=name, type=sort, help=f"About {name}", labels=labels, **more)


def labels(**named):
    return tuple(named.items())


def sample(family, value=1.0, /, **named):
    return Sample(family, labels(**named), value)


def scraped(store):
    found = {}
    for each in text_string_to_metric_families(store.render().decode()):
        for item in each.samples:
            assert (item.name, tuple(item.labels.items())) not in found, "a series must not come twice"
            found[item.name, tuple(item.labels.items())] = item.value
    return found


def test_a_family_without_series_says_nothing(store):
    store.declare(family("a_thing"))
    assert store.render() == b""


def test_an_objects_gauges_are_replaced_as_a_set_and_vanish_with_it(store):
    store.declare(family("status", labels=("name", "status")))
    store.declare(family("size"))
    store.replace("a", [sample("status", name="a", status="Booting"), sample("size", 3, name="a")])
    store.replace("b", [sample("status", name="b", status="Ready")])
    store.replace("a", [sample("status", name="a", status="Ready")])
    assert scraped(store) == {
        ("status", labels(name="a", status="Ready")): 1,
        ("status", labels(name="b", status="Ready")): 1,
    }
    store.drop("a")
    store.drop("b")
    assert store.render() == b""


def test_the_text_is_headed_once_a_family(store):
    store.declare(family("size"))
    store.replace("a", [sample("size", 3, name="a")])
    store.replace("b", [sample("size", 1.5, name="b")])
    assert store.render().decode() == (
        '# HELP size About size\n# TYPE size gauge\nsize{name="a"} 3\nsize{name="b"} 1.5\n'
    )


def test_several_objects_add_to_one_series_which_goes_with_the_last(store):
    store.declare(family("things_total", labels=("kind",), aggregate="sum"))
    for owner in "abc":
        store.replace(owner, [sample("things_total", 1, kind="x")])
    assert scraped(store) == {("things_total", labels(kind="x")): 3}
    store.replace("b", [sample("things_total", 1, kind="y")])
    assert scraped(store) == {
        ("things_total", labels(kind="x")): 2,
        ("things_total", labels(kind="y")): 1,
    }
    for owner in "abc":
        store.drop(owner)
    assert store.render() == b""


def test_sums_do_not_drift(store):
    store.declare(family("sum", labels=(), aggregate="sum"))
    for owner in range(10):
        store.replace(owner, [Sample("sum", (), 0.1)])
    assert scraped(store) == {("sum", ()): 1.0}


def test_declared_label_sets_exist_at_zero_and_stay(store):
    start = (labels(result="success"), labels(result="error"))
    store.declare(family("passes_total", "counter", ("result",), start=start))
    store.declare(family("here", labels=("result",), aggregate="sum", start=start[:1]))
    store.replace("a", [sample("here", 1, result="success")])
    store.drop("a")
    store.add("passes_total", start[1])
    assert scraped(store) == {
        ("passes_total", start[0]): 0,
        ("passes_total", start[1]): 1,
        ("here", start[0]): 0,
    }


def test_a_histogram_counts_into_its_buckets(store):
    store.declare(family("seconds", "histogram", buckets=(0.5, 1.0, 2.5)))
    for value in (0.1, 0.5, 0.6, 2.5, 99):
        store.observe("seconds", labels(name="a"), value)
    found = scraped(store)
    assert [found["seconds_bucket", labels(name="a", le=le)] for le in ("0.5", "1", "2.5", "+Inf")] == [
        2,
        3,
        4,
        5,
    ]
    assert found["seconds_sum", labels(name="a")] == pytest.approx(102.7)
    assert found["seconds_count", labels(name="a")] == 5
    assert b"_created" not in store.render()


def test_counters_live_as_long_as_the_object_they_live_with(store):
    store.declare(family("backups_total", "counter"))
    store.add("backups_total", labels(name="nightly"), 0, lives_with="schedule")
    store.add("backups_total", labels(name="nightly"))
    store.add("backups_total", labels(name="other"))
    store.drop("backup-1")
    assert len(scraped(store)) == 2
    store.drop("schedule")
    assert scraped(store) == {("backups_total", labels(name="other")): 1}


def test_what_goes_over_the_limit_is_counted_not_kept(store):
    store.declare(family("size", max_series=2))
    store.declare(family("calls_total", "counter", max_series=1))
    for owner in "abc":
        store.replace(owner, [sample("size", name=owner)])
        store.add("calls_total", labels(name=owner))
    found = scraped(store)
    assert [name for name, _ in found] == ["dropped_total", "dropped_total", "size", "size", "calls_total"]
    assert found["dropped_total", labels(family="size")] == 1
    assert found["dropped_total", labels(family="calls_total")] == 2
    store.drop("a")
    store.replace("c", [sample("size", name="c")])
    assert ("size", labels(name="c")) in scraped(store)


def test_a_series_of_one_object_is_not_given_to_another(store):
    store.declare(family("size"))
    store.replace("a", [sample("size", 1, name="x")])
    store.replace("b", [sample("size", 2, name="x")])
    assert scraped(store)["size", labels(name="x")] == 1
    store.drop("a")
    store.replace("b", [sample("size", 2, name="x")])
    assert scraped(store)["size", labels(name="x")] == 2


def test_families_that_do_not_agree_are_refused(store):
    store.declare(family("size"))
    store.declare(family("size", start=()))
    for other in (family("size", "counter"), family("size", labels=("x",)), family("size", aggregate="sum")):
        with pytest.raises(ValueError, match="declared twice"):
            store.declare(other)


def test_counters_do_not_shrink_and_gauges_are_not_counted_in(store):
    store.declare(family("calls_total", "counter"))
    store.declare(family("size"))
    with pytest.raises(ValueError, match="cannot shrink"):
        store.add("calls_total", labels(name="a"), -1)
    with pytest.raises(TypeError, match="is a gauge"):
        store.add("size", labels(name="a"))


def test_what_is_computed_at_the_scrape_is_asked_at_each(store):
    store.declare(family("depth", labels=()))
    depths = iter((1, 2))
    store.collect("queue", lambda: [Sample("depth", (), next(depths))])
    assert scraped(store) == {("depth", ()): 1}
    assert scraped(store) == {("depth", ()): 2}


def test_a_scrape_never_sees_half_of_a_set(store):
    store.declare(family("size"))
    stopping = threading.Event()

    def write():
        turn = 0
        while not stopping.is_set():
            turn += 1
            store.replace("a", [sample("size", turn, name=str(number)) for number in range(20)])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(50):
            values = set(scraped(store).values())
            assert len(values) <= 1
    finally:
        stopping.set()
        writer.join(5)


def test_openmetrics_says_the_same_as_the_text_format():
    store = SeriesStore(overflow="dropped_total")
    store.declare(Family(name="calls_total", type="counter", help="Calls", labels=("code",)))
    store.declare(Family(name="things_total", type="gauge", help="Things", labels=("kind",)))
    store.declare(
        Family(name="seconds", type="histogram", help="Time", labels=("code",), buckets=(0.5, 1, 1e6))
    )
    store.add("calls_total", (("code", "a"),), 3)
    store.replace("owner", [Sample("things_total", (("kind", 'nasty "\n'),), 2.0)])
    for value in (0.1, 0.7, 2e6):
        store.observe("seconds", (("code", "a"),), value)
    for _ in range(2):
        text = text_string_to_metric_families(store.render().decode())
        openmetrics = strict.text_string_to_metric_families(store.render("openmetrics").decode() + "# EOF\n")

        def told(families):
            return {
                (
                    sample.name,
                    tuple(sorted({**sample.labels, "le": float(sample.labels.get("le", 0))}.items())),
                    sample.value,
                )
                for family in families
                for sample in family.samples
            }

        assert told(text) == told(openmetrics)
        store.observe("seconds", (("code", "a"),), 0.8)
