"""Look-ups by value, and what happens to versions that come out of order."""

from __future__ import annotations

import sys
import threading

import pytest

from engine.base.fieldtree import texts_at
from engine.store import Store
from tests.unit.kube.conftest import thing


@pytest.fixture
def store():
    return Store(lambda name, item: True)


def found(store, namespace=None, **match):
    return [item["metadata"]["name"] for item in store.select(namespace, match)]


def test_objects_are_found_by_texts_at_dotted_paths_and_namespace(store):
    store.put(thing("b", spec={"ref": {"name": "x"}}))
    store.put(thing("a", spec={"ref": {"name": "x"}}))
    store.put(thing("c", spec={"ref": {"name": "y"}}))
    store.put(thing("d", namespace="other", spec={"ref": {"name": "x"}}))
    assert found(store, "default", **{"spec.ref.name": "x"}) == ["a", "b"]
    assert found(store, **{"spec.ref.name": "x"}) == ["a", "b", "d"]
    assert found(store, **{"spec.ref.name": "none"}) == []
    assert found(store) == ["a", "b", "c", "d"]


def test_an_index_follows_changes_and_removals(store):
    path = {"spec.role": "one"}
    assert found(store, **path) == []
    store.put(thing("a", "1", spec={"role": "one"}))
    assert found(store, **path) == ["a"]
    store.put(thing("a", "2", spec={"role": "two"}))
    assert found(store, **path) == []
    assert found(store, **{"spec.role": "two"}) == ["a"]
    store.remove(("default", "a"))
    assert found(store, **{"spec.role": "two"}) == []
    assert store._indexes["spec.role"] == {}


@pytest.mark.parametrize(
    ("path", "texts"),
    [
        ("metadata.labels.example.test/role", {"x"}),
        ("metadata.ownerReferences.uid", {"1", "2"}),
        ("spec.paused", {"true"}),
        ("spec.replicas", {"3"}),
        ("spec.none", set()),
        ("spec.replicas.deeper", set()),
        ("spec", set()),
    ],
)
def test_paths_go_through_labels_lists_and_plain_values(path, texts):
    item = {
        "metadata": {"labels": {"example.test/role": "x"}, "ownerReferences": [{"uid": "1"}, {"uid": "2"}]},
        "spec": {"paused": True, "replicas": 3, "none": None},
    }
    assert texts_at(item, path) == texts


def test_an_older_version_never_replaces_a_newer_one_unless_it_was_listed(store):
    store.put(thing("a", "10"))
    old, new = store.put(thing("a", "9"))
    assert old is new
    assert store.remove(("default", "a"), "9") is None
    assert store.get(("default", "a"))["metadata"]["resourceVersion"] == "10"
    store.put(thing("a", "9"), listed=True)
    assert store.get(("default", "a"))["metadata"]["resourceVersion"] == "9"


def test_versions_that_are_no_numbers_count_in_order_of_arrival(store):
    store.put(thing("a", "zebra"))
    store.put(thing("a", "ant"))
    assert store.get(("default", "a"))["metadata"]["resourceVersion"] == "ant"


def test_a_version_that_is_here_already_changes_nothing(store):
    store.put(thing("a", "1"))
    old, new = store.put(thing("a", "1"))
    assert old is new


def test_whoever_looks_while_an_object_changes_never_finds_it_absent(store):
    for path in ("spec.role", "metadata.namespace", "metadata.name"):
        found(store, **{path: "x"})
    store.put(thing("a", "0", spec={"role": "0"}))
    absent, done = [], threading.Event()

    def look():
        while not done.is_set():
            absent.extend([None] * (store.get(("default", "a")) is None))

    looker = threading.Thread(target=look)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        looker.start()
        for number in range(1, 5000):
            store.put(thing("a", str(number), spec={"role": str(number % 7)}))
    finally:
        done.set()
        looker.join()
        sys.setswitchinterval(before)
    assert absent == []
