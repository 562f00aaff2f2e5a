"""Who is woken by a change."""

from __future__ import annotations

from engine.base.kinds import Key, Kind
from engine.base.model import KindMatch
from engine.wake import Readers
from tests.unit.kube.conftest import THING, thing

OWNER = Kind("example.test", "v1", "Owner", "owners")
CONFIG = Kind("", "v1", "Config", "configs")
NODE = Kind("", "v1", "Node", "nodes", namespaced=False)
READER = Key(OWNER, "default", "r")


def test_an_object_of_ours_wakes_itself_and_others_do_not():
    readers = Readers(frozenset({THING}))
    assert readers.woken_by(THING, None, thing("a")) == {Key(THING, "default", "a")}
    assert readers.woken_by(CONFIG, None, thing("a")) == set()


def test_owners_are_woken_old_and_new_ones_whatever_their_version():
    def owned(by):
        item = thing("a")
        item["metadata"]["ownerReferences"] = [
            {"apiVersion": "example.test/v2", "kind": "Owner", "name": by},
            {"apiVersion": "v1", "kind": "Owner", "name": "of-another-group"},
        ]
        return item

    readers = Readers(frozenset({OWNER}))
    assert readers.woken_by(CONFIG, owned("x"), owned("y")) == {
        Key(OWNER, "default", "x"),
        Key(OWNER, "default", "y"),
    }


def test_readers_by_name_are_woken_even_when_the_object_was_absent():
    readers = Readers(frozenset({OWNER}))
    readers.note(READER, {Key(CONFIG, "default", "a"): None}, set())
    assert readers.woken_by(CONFIG, None, thing("a")) == {READER}
    assert readers.woken_by(CONFIG, thing("a"), None) == {READER}
    assert readers.woken_by(CONFIG, None, thing("b")) == set()


def test_readers_of_a_list_are_woken_by_any_object_of_its_namespace_or_of_all():
    readers = Readers(frozenset({OWNER}))
    other = Key(OWNER, "default", "all")
    readers.note(READER, {}, {KindMatch(CONFIG, "default")})
    readers.note(other, {}, {KindMatch(CONFIG, "")})
    assert readers.woken_by(CONFIG, None, thing("a")) == {READER, other}
    assert readers.woken_by(CONFIG, None, thing("a", namespace="elsewhere")) == {other}


def test_a_list_of_a_cluster_wide_kind_has_no_namespace():
    readers = Readers(frozenset({OWNER}))
    readers.note(READER, {}, {KindMatch(NODE, "default")})
    node = {"metadata": {"name": "n", "resourceVersion": "1"}}
    assert readers.woken_by(NODE, None, node) == {READER}


def test_what_a_pass_reads_replaces_what_its_last_one_read():
    readers = Readers(frozenset({OWNER}))
    readers.note(READER, {Key(CONFIG, "default", "a"): None}, {KindMatch(CONFIG, "x")})
    readers.note(READER, {Key(CONFIG, "default", "b"): None}, set())
    assert readers.woken_by(CONFIG, None, thing("a")) == set()
    assert readers.woken_by(CONFIG, None, thing("b")) == {READER}
    readers.forget(READER)
    assert readers.woken_by(CONFIG, None, thing("b")) == set()
    assert (readers._by_name, readers._by_list, readers._paths, readers._noted) == ({}, {}, {}, {})


def test_readers_of_a_list_of_what_matches_are_woken_by_what_matches_before_or_after_only():
    readers = Readers(frozenset({OWNER}))
    readers.note(READER, {}, {KindMatch(CONFIG, "default", (("spec.of", "x"),))})
    mine, other = ({**thing("a"), "spec": {"of": of}} for of in ("x", "y"))
    assert readers.woken_by(CONFIG, other, {**other, "status": {}}) == set()
    assert readers.woken_by(CONFIG, None, thing("a")) == set()
    for change in ((mine, other), (other, mine), (None, mine), (mine, None)):
        assert readers.woken_by(CONFIG, *change) == {READER}


def test_a_reader_is_not_woken_by_fields_that_it_does_not_read():
    readers = Readers(frozenset({OWNER}))
    readers.note(READER, {Key(CONFIG, "default", "a"): {"status": {"endpoints": None}}}, set())
    before = {**thing("a"), "status": {"endpoints": ["x"], "state": "Pending"}}
    other_word = {**thing("a"), "status": {"endpoints": ["x"], "state": "Ready"}}
    other_endpoint = {**thing("a"), "status": {"endpoints": ["y"], "state": "Pending"}}
    assert readers.woken_by(CONFIG, before, other_word) == set()
    assert readers.woken_by(CONFIG, before, other_endpoint) == {READER}
    assert readers.woken_by(CONFIG, before, None) == {READER}
