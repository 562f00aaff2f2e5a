"""What each method sends, and what it makes of the answer."""

from __future__ import annotations

import time

import pytest

from engine.base.errors import Expired, Missing
from engine.base.kinds import Key, Kind
from engine.ports.kube.events import EventLimit, EventRecord
from engine.ports.kube.review import AccessQuestion, UserInfo
from tests.unit.kube.conftest import THING, listing, thing

KEY = Key(THING, "default", "a")
NODE = Kind("", "v1", "Node", "nodes", namespaced=False)


@pytest.fixture
def echo(serve, connect):
    """A client whose every request is answered with an object, and the server."""
    server = serve(lambda asked, wire: wire.json(thing("a")))
    return connect(server), server


def test_paths_follow_group_namespace_and_name(echo):
    client, server = echo
    client.get(KEY)
    client.get(Key(NODE, "", "n/1"))
    client.patch_status(KEY, {"status": {"x": 1}})
    assert [asked.path for asked in server.asked] == [
        "/apis/example.test/v1/namespaces/default/things/a",
        "/api/v1/nodes/n/1",
        "/apis/example.test/v1/namespaces/default/things/a/status",
    ]


def test_an_apply_names_the_object_the_manager_and_force(echo):
    client, server = echo
    client.apply(KEY, {"metadata": {"labels": {"a": "b"}}, "spec": {"x": 1}})
    client.apply(KEY, {}, manager="other", force=False, dry_run=True)
    first, second = server.asked
    assert first.method == "PATCH"
    assert first.headers["content-type"] == "application/apply-patch+yaml"
    assert first.query == {"fieldManager": "talos-operator", "force": "true"}
    assert first.body == {
        "apiVersion": "example.test/v1",
        "kind": "Thing",
        "metadata": {"name": "a", "namespace": "default", "labels": {"a": "b"}},
        "spec": {"x": 1},
    }
    assert second.query == {"fieldManager": "other", "force": "false", "dryRun": "All"}


def test_patches_say_their_type_and_a_put_sends_the_whole(echo):
    client, server = echo
    client.patch(KEY, {"spec": None})
    client.patch(KEY, [{"op": "remove", "path": "/spec"}], type="json", subresource="status")
    client.replace(KEY, thing("a", version="7"))
    assert [(asked.method, asked.headers["content-type"]) for asked in server.asked] == [
        ("PATCH", "application/merge-patch+json"),
        ("PATCH", "application/json-patch+json"),
        ("PUT", "application/json"),
    ]
    assert server.asked[0].body == {"spec": None}
    assert server.asked[2].body["metadata"]["resourceVersion"] == "7"


def test_a_delete_carries_its_preconditions_and_no_others(echo):
    client, server = echo
    client.delete(KEY, uid="u", resource_version="7", propagation="Foreground")
    client.delete(KEY, dry_run=True)
    assert server.asked[0].body["preconditions"] == {"uid": "u", "resourceVersion": "7"}
    assert server.asked[0].body["propagationPolicy"] == "Foreground"
    assert server.asked[1].body["preconditions"] == {}
    assert server.asked[1].query == {"dryRun": "All"}


def test_dry_run_is_never_sent_with_reads(echo):
    client, server = echo
    client.create(THING, "default", thing("a"), dry_run=True)
    client.get(KEY)
    assert [asked.query for asked in server.asked] == [{"dryRun": "All"}, {}]


def test_requests_one_after_another_share_a_connection(echo):
    client, server = echo
    for _ in range(5):
        client.get(KEY)
        server.script = lambda asked, wire: wire.refuse(404, "NotFound", "no")
        with pytest.raises(Missing):
            client.get(KEY)
        server.script = lambda asked, wire: wire.json(thing("a"))
    assert {asked.connection for asked in server.asked} == {1}


def test_finished_requests_are_recorded_for_the_metrics(serve, connect):
    records = []
    server = serve(lambda asked, wire: wire.json(thing("a")))
    connect(server, on_request=records.append).get(KEY)
    assert [(record.method, record.code, record.host) for record in records] == [
        ("GET", "200", f"127.0.0.1:{server.port}")
    ]


def pages_of(names, size, *, expire_once_at=None):
    """A script that lists `names`, and forgets its version once when page `expire_once_at` is asked for."""
    state = {"version": 10, "expired": False}

    def script(asked, wire):
        limit = int(asked.query.get("limit", 10_000))
        start = int(asked.query.get("continue", 0))
        if start and start == expire_once_at and not state["expired"]:
            state.update(version=20, expired=True)
            wire.refuse(410, "Expired", "too old")
            return
        end = start + min(size, limit)
        token = str(end) if end < len(names) else ""
        items = [{"metadata": {"name": name, "resourceVersion": "1"}} for name in names[start:end]]
        wire.json(listing(items, str(state["version"]), token))

    return script


def test_a_list_comes_in_pages_at_one_version(serve, connect):
    server = serve(pages_of("abcde", 2))
    pages = list(connect(server).list_pages(THING, "default", limit=2, label_selector="x=y"))
    assert ["".join(item["metadata"]["name"] for item in page.items) for page in pages] == ["ab", "cd", "e"]
    assert [page.first for page in pages] == [True, False, False]
    assert {page.resource_version for page in pages} == {"10"}
    assert pages[0].items[0]["kind"] == "Thing"
    assert server.asked[0].query == {"limit": "2", "labelSelector": "x=y"}


def test_a_list_whose_version_expires_half_way_begins_again_and_loses_nothing(serve, connect):
    server = serve(pages_of("abcde", 2, expire_once_at=4))
    found, version = [], ""
    for page in connect(server).list_pages(THING, limit=2):
        if page.first:
            found.clear()
        found += [item["metadata"]["name"] for item in page.items]
        version = page.resource_version
    assert found == list("abcde")
    assert version == "20"


def test_a_list_that_is_refused_as_too_old_at_once_is_not_tried_for_ever(serve, connect):
    server = serve(lambda asked, wire: wire.refuse(410, "Expired", "too old"))
    with pytest.raises(Expired):
        list(connect(server).list_pages(THING))
    assert len(server.asked) == 1


RESOURCES = [
    {"name": "things", "kind": "Thing", "namespaced": True},
    {"name": "things/status", "kind": "Thing", "namespaced": True},
    {"name": "clusterthings", "kind": "ClusterThing", "namespaced": False},
]


def test_kinds_are_discovered_once_and_again_when_one_is_missing(serve, connect):
    served = RESOURCES[:2]
    server = serve(lambda asked, wire: wire.json({"kind": "APIResourceList", "resources": served}))
    client = connect(server)
    assert [client.kind_named("example.test/v1", "Thing") for _ in range(3)] == [THING] * 3
    assert len(server.asked) == 1
    with pytest.raises(Missing, match=r"does not serve ClusterThing of example.test/v1; install"):
        client.kind_named("example.test/v1", "ClusterThing")
    served.append(RESOURCES[2])
    assert not client.kind_named("example.test/v1", "ClusterThing").namespaced
    assert {asked.path for asked in server.asked} == {"/apis/example.test/v1"}


def test_a_group_that_is_not_served_is_told_like_a_kind_that_is_not(serve, connect):
    client = connect(serve(lambda asked, wire: wire.refuse(404, "NotFound", "no")))
    with pytest.raises(Missing) as told:
        client.kind_named("v1", "Thing")
    assert told.value.code == "KindNotServed"


def test_tokens_and_rights_are_asked_with_everything_known_of_the_user(serve, connect):
    user = {"username": "me", "uid": "1", "groups": ["g"], "extra": {"k": ["v"]}}

    def script(asked, wire):
        status = {"authenticated": True, "user": user} if "tokenreviews" in asked.path else {"allowed": True}
        wire.json({"status": status})

    server = serve(script)
    client = connect(server)
    found = client.review_token("t")
    assert found == UserInfo("me", "1", ("g",), {"k": ("v",)})
    assert client.review_access(found, AccessQuestion("/metrics"))
    assert server.asked[0].body["spec"] == {"token": "t"}
    assert server.asked[1].body["spec"] == {
        "user": "me",
        "uid": "1",
        "groups": ["g"],
        "extra": {"k": ["v"]},
        "nonResourceAttributes": {"path": "/metrics", "verb": "get"},
    }


def test_a_token_that_is_not_accepted_belongs_to_nobody(serve, connect):
    client = connect(serve(lambda asked, wire: wire.json({"status": {"authenticated": False}})))
    assert client.review_token("t") is None


def event(message="it happened", name="a"):
    return EventRecord(thing(name), "Normal", "Happened", message)


class EventStore:
    """Keeps events as an API server does."""

    def __init__(self):
        self.kept = {}

    def __call__(self, asked, wire):
        name = asked.path.rsplit("/", 1)[-1]
        if asked.method == "POST":
            name = asked.body["metadata"]["name"]
            if name in self.kept:
                wire.refuse(409, "AlreadyExists", "there")
                return
            self.kept[name] = asked.body
        elif asked.method == "PATCH":
            self.kept[name] |= asked.body
        wire.json(self.kept[name])


def test_a_repeated_event_is_counted_and_not_written_anew(serve, connect, until):
    store = EventStore()
    client = connect(serve(store))
    for message in ("it happened", "it happened", "something else", "it happened"):
        client.emit(event(message))
    until(lambda: sorted(kept["count"] for kept in store.kept.values()) == [1, 3])
    kept = next(kept for kept in store.kept.values() if kept["count"] == 3)
    assert kept["involvedObject"]["uid"] == "uid-a"
    assert kept["metadata"]["name"].startswith("a.")
    assert (kept["type"], kept["reason"]) == ("Normal", "Happened")


def test_emitting_never_waits_for_the_server_and_never_fails(serve, connect):
    client = connect(serve(lambda asked, wire: wire.wait()), deadline_s=0.5)
    began = time.monotonic()
    for number in range(2000):
        client.emit(event(name=f"a{number}"))
    assert time.monotonic() - began < 1.5
    assert client._recorder.dropped > 0


def test_one_object_cannot_flood_the_server_with_events():
    limit = EventLimit()
    assert [limit.allows("a", 0.0) for _ in range(27)] == [True] * 25 + [False] * 2
    assert limit.allows("b", 0.0)
    assert limit.allows("a", 301.0)
    assert not limit.allows("a", 301.0)


def test_closing_writes_the_events_that_wait(serve, connect):
    store = EventStore()
    client = connect(serve(store))
    client.emit(event())
    thread = client._recorder._thread
    client.close()
    assert len(store.kept) == 1
    assert not thread.is_alive()
