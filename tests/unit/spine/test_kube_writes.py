"""Writes of API objects: only what differs, never over what is there, never the wrong object."""

from __future__ import annotations

import base64

import pytest

from engine.act.contains import contains
from engine.base.errors import CapabilityError, Conflict
from engine.base.model import KubeWrite, Made, PlannedStep
from engine.base.values import Opaque
from tests.unit.spine.server import Spine, spine
from tests.unit.spine.world import CONFIG_MAP, SECRET, WIDGET


@pytest.fixture
def over(server):
    with spine(server) as made:
        yield made


def put(
    over: Spine, verb: str, name: str = "c", kind=CONFIG_MAP, *, made=None, dry=False, first=None, **parts
):
    key = over.server.key(name, kind)
    metadata = {"name": name, "namespace": key.namespace, **parts.pop("metadata", {})}
    manifest = {"apiVersion": kind.api_version, "kind": kind.name, "metadata": metadata, **parts}
    write = KubeWrite(verb=verb, target=key, manifest=manifest, annotations_at_creation=first or {})
    over.server.requests.clear()
    step = PlannedStep(id="s", phase="do", effect=write)
    return over.writer.write(step, made, manager="test", dry=dry)


def test_an_apply_creates_then_writes_nothing_while_the_live_object_holds_what_is_wanted(over):
    assert put(over, "apply", data={"a": "1"}).status == "created"
    over.caught_up("c", CONFIG_MAP)
    assert put(over, "apply", data={"a": "1"}).status == "unchanged"
    assert over.server.requests == []


def test_what_others_added_does_not_count_as_a_difference(over):
    put(over, "apply", data={"a": "1"}, metadata={"labels": {"ours": "x"}})
    over.server.client.patch(
        over.server.key("c", CONFIG_MAP), {"data": {"b": "2"}, "metadata": {"labels": {"theirs": "y"}}}
    )
    over.caught_up("c", CONFIG_MAP)
    assert put(over, "apply", data={"a": "1"}, metadata={"labels": {"ours": "x"}}).status == "unchanged"
    assert over.server.writes() == []


def test_a_difference_is_written_and_what_is_no_longer_said_is_taken_away(over):
    put(over, "apply", data={"a": "1", "b": "2"})
    over.caught_up("c", CONFIG_MAP)
    assert put(over, "apply", data={"a": "3"}).status == "updated"
    assert over.server.get("c", CONFIG_MAP)["data"] == {"a": "3"}


def test_what_somebody_deleted_since_the_pass_looked_is_not_made_again(over):
    put(over, "apply", data={"a": "1"})
    over.caught_up("c", CONFIG_MAP)
    over.cache.stop()
    over.server.client.delete(over.server.key("c", CONFIG_MAP))
    with pytest.raises(Conflict, match="was deleted since"):
        put(over, "apply", data={"a": "2"})
    assert over.server.get("c", CONFIG_MAP) is None


def test_what_a_spec_no_longer_says_is_taken_away_also_when_nothing_else_differs(over):
    put(over, "apply", "w", WIDGET, spec={"size": 2, "any": {"a": "1", "b": "2"}})
    over.caught_up("w", WIDGET)
    assert put(over, "apply", "w", WIDGET, spec={"size": 2, "any": {"a": "1"}}).status == "updated"
    assert over.server.get()["spec"]["any"] == {"a": "1"}


def test_what_others_added_to_a_spec_stays_and_is_asked_about_once(over):
    put(over, "apply", "w", WIDGET, spec={"size": 2})
    over.server.client.patch(over.server.key(), {"spec": {"any": {"theirs": "y"}}})
    over.caught_up("w", WIDGET)
    assert put(over, "apply", "w", WIDGET, spec={"size": 2}).status == "unchanged"
    assert over.server.writes() == ["PATCH"]
    for dry in (False, True):
        assert put(over, "apply", "w", WIDGET, dry=dry, spec={"size": 2}).status == "unchanged"
        assert over.server.requests == []
    over.server.client.patch_status(over.server.key(), {"status": {"word": "new"}})
    over.caught_up("w", WIDGET)
    put(over, "apply", "w", WIDGET, spec={"size": 2})
    assert over.server.requests == []
    assert over.server.get()["spec"]["any"] == {"theirs": "y"}


def test_a_dry_run_tells_what_would_be_taken_away_and_takes_nothing(over):
    put(over, "apply", "w", WIDGET, spec={"size": 2, "any": {"a": "1"}})
    over.caught_up("w", WIDGET)
    before = over.server.get()
    assert put(over, "apply", "w", WIDGET, dry=True, spec={"size": 2}).status == "would"
    assert over.server.get() == before


def test_a_write_that_the_server_takes_for_none_counts_as_unchanged(over):
    over.server.make("w", spec={"size": 2})
    over.caught_up()
    assert put(over, "patch", "w", WIDGET, spec={"size": 2, "pruned": 1}).status == "unchanged"
    assert over.server.writes() == ["PATCH"]


def test_a_number_that_was_computed_as_2_0_is_the_2_that_is_there(over):
    over.server.make("w", spec={"size": 2})
    over.caught_up()
    assert put(over, "apply", "w", WIDGET, spec={"size": 2.0}).status == "unchanged"
    assert over.server.writes() == []


def test_annotations_at_creation_are_written_once_and_stay_removed(over):
    assert put(over, "apply", data={"a": "1"}, first={"example.org/first": "yes"}).status == "created"
    live = over.server.get("c", CONFIG_MAP)
    assert live["metadata"]["annotations"] == {"example.org/first": "yes"}
    over.caught_up("c", CONFIG_MAP)
    put(over, "apply", data={"a": "2"}, first={"example.org/first": "yes"})
    assert over.server.get("c", CONFIG_MAP)["metadata"]["annotations"] == {"example.org/first": "yes"}
    over.server.client.patch(
        over.server.key("c", CONFIG_MAP), {"metadata": {"annotations": {"example.org/first": None}}}
    )
    over.caught_up("c", CONFIG_MAP)
    assert put(over, "apply", data={"a": "2"}, first={"example.org/first": "yes"}).status == "unchanged"
    put(over, "apply", data={"a": "3"}, first={"example.org/first": "yes"})
    assert not over.server.get("c", CONFIG_MAP)["metadata"].get("annotations")


def test_an_annotation_that_a_person_changed_is_not_put_back(over):
    put(over, "apply", data={"a": "1"}, first={"example.org/first": "yes"})
    over.server.client.patch(
        over.server.key("c", CONFIG_MAP), {"metadata": {"annotations": {"example.org/first": "no"}}}
    )
    over.caught_up("c", CONFIG_MAP)
    put(over, "apply", data={"a": "2"}, first={"example.org/first": "yes"})
    assert over.server.get("c", CONFIG_MAP)["metadata"]["annotations"] == {"example.org/first": "no"}


def test_create_never_overwrites_what_is_there_even_when_the_cache_has_not_seen_it(over):
    assert over.cache.get(over.server.key("c", CONFIG_MAP)) is None
    over.server.make("c", CONFIG_MAP, data={"a": "theirs"})
    outcome = put(over, "create", data={"a": "ours"})
    assert outcome.status == "unchanged"
    assert over.server.get("c", CONFIG_MAP)["data"] == {"a": "theirs"}


def test_of_two_that_create_one_object_the_second_keeps_what_the_first_has_made(over):
    # The look of the second one comes before the write of the first: only the server can tell them apart.
    over.cache.want(over.server.key("c", SECRET))
    client, looked = over.server.client, over.server.client.get

    def overtaken(key):
        client.get = looked
        try:
            return looked(key)
        finally:
            over.server.make("c", SECRET, stringData={"key": "first"})

    client.get = overtaken
    try:
        outcome = put(over, "create", "c", SECRET, stringData={"key": Opaque("second")})
    finally:
        client.get = looked
    assert outcome.status == "unchanged"
    kept = over.server.get("c", SECRET)["data"]["key"]
    assert base64.b64decode(kept) == b"first"


def test_what_make_gives_is_put_in_just_before_sending_and_only_then(over):
    asked = []

    class Maker(dict):
        def __getitem__(self, name):
            asked.append(name)
            return Opaque("fresh")

        def __contains__(self, name):
            return name == "text"

    parts = {"stringData": {"key": Made("text"), "fixed": "x"}}
    assert put(over, "create", "c", SECRET, made=Maker(), **parts).status == "created"
    assert asked == ["text"]
    live = over.server.get("c", SECRET)
    assert {name: base64.b64decode(text) for name, text in live["data"].items()} == {
        "key": b"fresh",
        "fixed": b"x",
    }
    over.caught_up("c", SECRET)
    assert put(over, "create", "c", SECRET, made=Maker(), **parts).status == "unchanged"
    assert asked == ["text"]


def test_a_stand_in_that_make_did_not_give_is_never_written(over):
    with pytest.raises(CapabilityError, match="gave no other"):
        put(over, "create", "c", SECRET, made={}, stringData={"key": Made("other")})
    assert over.server.get("c", SECRET) is None


def test_a_secret_is_compared_as_it_is_stored(over):
    put(over, "apply", "c", SECRET, stringData={"key": Opaque("one")})
    over.caught_up("c", SECRET)
    assert put(over, "apply", "c", SECRET, stringData={"key": Opaque("one")}).status == "unchanged"
    assert put(over, "apply", "c", SECRET, stringData={"key": Opaque("two")}).status == "updated"


@pytest.mark.parametrize(
    ("live", "wanted", "holds"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, True),
        ({"a": 1}, {"a": "1"}, False),
        ({"a": True}, {"a": 1}, False),
        ({"a": 1}, {"a": True}, False),
        ({"a": 2}, {"a": 2.0}, True),
        ({}, {"a": {}, "b": [], "c": None}, True),
        ({}, {"a": ""}, False),
        ({"a": 1}, {"a": None}, False),
        ({"a": [1, 2]}, {"a": [1]}, False),
        ({"a": [{"x": 1, "default": 2}]}, {"a": [{"x": 1}]}, True),
        ({"finalizers": ["theirs", "ours"]}, {"finalizers": ["ours"]}, True),
        ({"finalizers": ["theirs"]}, {"finalizers": ["ours"]}, False),
        ({"a": "text"}, {"a": Opaque("text")}, True),
        ({"a": "text"}, {"a": Opaque("other")}, False),
    ],
)
def test_a_live_object_holds_what_is_wanted_when_a_write_would_change_nothing(live, wanted, holds):
    assert contains(live, wanted) is holds


def test_a_delete_is_of_the_object_that_was_seen_and_spares_its_successor(over):
    over.server.make("w")
    over.caught_up()
    over.server.client.delete(over.server.key())
    over.server.make("w", spec={"size": 5})
    stale = {"metadata": {"uid": "the-old-one", "name": "w", "resourceVersion": "1"}}
    over.writer._cache = Fixed(stale)
    with pytest.raises(Conflict):
        put(over, "delete", "w", WIDGET)
    assert over.server.get()["spec"] == {"size": 5}


def test_a_delete_of_what_is_gone_or_going_is_done_already(over):
    assert put(over, "delete", "nobody", WIDGET).status == "unchanged"
    over.server.make("w", finalizers=["example.org/f"])
    over.caught_up()
    assert put(over, "delete", "w", WIDGET).status == "deleted"
    over.caught_up()
    assert put(over, "delete", "w", WIDGET).status == "unchanged"
    assert over.server.writes() == []


@pytest.mark.parametrize("verb", ["apply", "create", "delete"])
def test_a_dry_run_changes_nothing_and_tells_what_it_would_have_done(over, verb):
    over.server.make("old", CONFIG_MAP, data={"a": "1"})
    over.cache.want(over.server.key("old", CONFIG_MAP))
    name = "old" if verb == "delete" else "c"
    outcome = put(over, verb, name, data={"a": "1"}, dry=True)
    word = {"apply": "created", "create": "created", "delete": "deleted"}[verb]
    assert (outcome.status, outcome.message) == (
        "would",
        f"would have {word} ConfigMap {over.server.namespace}/{name}",
    )
    assert over.server.get("c", CONFIG_MAP) is None
    assert over.server.get("old", CONFIG_MAP) is not None


def test_a_finalizer_is_added_under_the_version_that_was_seen(over):
    live = over.server.make("w", finalizers=["other/x"])
    over.server.client.patch(over.server.key(), {"spec": {"size": 1}})
    with pytest.raises(Conflict):
        over.writer.add_finalizer(over.server.key(), live, "example.org/f")
    over.writer.add_finalizer(over.server.key(), over.server.get(), "example.org/f")
    assert over.server.get()["metadata"]["finalizers"] == ["other/x", "example.org/f"]


def test_only_our_finalizer_is_taken_away_and_an_object_that_is_gone_is_fine(over):
    live = over.server.make("w", finalizers=["example.org/f", "other/x"])
    over.writer.remove_finalizer(over.server.key(), live, "example.org/f")
    assert over.server.get()["metadata"]["finalizers"] == ["other/x"]
    over.writer.remove_finalizer(over.server.key("nobody"), live, "example.org/f")


class Fixed:
    """A cache that has stopped."""

    def __init__(self, found):
        self.found = found

    def get(self, key):
        return self.found
