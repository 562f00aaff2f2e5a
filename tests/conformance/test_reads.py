"""Lists, selectors, paging, watches, tables and discovery."""

from __future__ import annotations

import os

import pytest


@pytest.fixture
def seven(client, space, widget):
    for number in range(7):
        labels = {"n": str(number), "odd": "yes" if number % 2 else "no"}
        client.post(space, widget(f"w{number}", {"labels": labels}, size=number))
    return space


def names(answer):
    return [item["metadata"]["name"] for item in answer.body["items"]]


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        ("odd=yes", "w1 w3 w5"),
        ("odd==yes,n!=3", "w1 w5"),
        ("n in (1, 2)", "w1 w2"),
        ("n notin (0,1,2,3,4)", "w5 w6"),
        ("!odd", ""),
        ("odd,n=6", "w6"),
    ],
)
def test_label_selectors_choose(client, seven, labels, found):
    assert names(client.get(seven, labelSelector=labels)) == found.split()


def test_field_selectors_choose_by_name_and_refuse_the_rest(client, seven):
    assert names(client.get(seven, fieldSelector="metadata.name=w3")) == ["w3"]
    assert client.get(seven, fieldSelector="spec.size=3").code == 400


def test_pages_show_one_moment_whatever_is_written_between(client, seven, widget):
    first = client.get(seven, limit=3)
    assert names(first) == ["w0", "w1", "w2"] and first.body["metadata"]["remainingItemCount"] == 4
    client.delete(f"{seven}/w4")
    client.merge(f"{seven}/w5", {"spec": {"size": 77}})
    client.post(seven, widget("w3a"))
    rest = client.get(seven, limit=9, **{"continue": first.body["metadata"]["continue"]})
    assert names(rest) == ["w3", "w4", "w5", "w6"]
    assert rest.body["items"][2]["spec"]["size"] == 5
    assert rest.body["metadata"]["resourceVersion"] == first.body["metadata"]["resourceVersion"]


def test_a_watch_resumes_behind_a_version(client, seven):
    version = client.get(seven).body["metadata"]["resourceVersion"]
    client.merge(f"{seven}/w1", {"spec": {"size": 50}})
    client.delete(f"{seven}/w2")
    events = list(client.watch(seven, resourceVersion=version, timeoutSeconds=1))
    assert [(one["type"], one["object"]["metadata"]["name"]) for one in events] == [
        ("MODIFIED", "w1"),
        ("DELETED", "w2"),
    ]


def test_a_selecting_watch_turns_changes_into_comings_and_goings(client, seven):
    version = client.get(seven).body["metadata"]["resourceVersion"]
    client.merge(f"{seven}/w1", {"metadata": {"labels": {"odd": "no"}}})
    client.merge(f"{seven}/w2", {"metadata": {"labels": {"odd": "yes"}}})
    client.merge(f"{seven}/w3", {"spec": {"size": 50}})
    client.merge(f"{seven}/w4", {"spec": {"size": 50}})
    events = client.watch(seven, resourceVersion=version, timeoutSeconds=1, labelSelector="odd=yes")
    assert [(one["type"], one["object"]["metadata"]["name"]) for one in events] == [
        ("DELETED", "w1"),
        ("ADDED", "w2"),
        ("MODIFIED", "w3"),
    ]


def test_a_live_watch_sees_a_write_at_once(client, seven):
    version = client.get(seven).body["metadata"]["resourceVersion"]
    events = client.watch(seven, resourceVersion=version, timeoutSeconds=10)
    other = type(client)(client.base, client.session.headers["Authorization"][7:], client.session.verify)
    other.merge(f"{seven}/w6", {"spec": {"size": 51}})
    assert next(events)["object"]["spec"]["size"] == 51
    events.close()


def test_a_watch_without_version_begins_with_what_is_there(client, seven):
    events = list(client.watch(seven, timeoutSeconds=1))
    assert [one["type"] for one in events] == ["ADDED"] * 7


def test_initial_events_end_with_a_marked_bookmark(client, seven):
    asked = {
        "sendInitialEvents": "true",
        "resourceVersionMatch": "NotOlderThan",
        "allowWatchBookmarks": "true",
    }
    events = client.watch(seven, timeoutSeconds=5, **asked)
    seen = [next(events) for _ in range(8)]
    events.close()
    assert [one["type"] for one in seen] == ["ADDED"] * 7 + ["BOOKMARK"]
    assert seen[-1]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


@pytest.mark.skipif("CONFORMANCE_KUBECONFIG" in os.environ, reason="others send one a minute only")
def test_a_bookmark_comes_before_a_watch_ends(client, seven):
    version = client.get(seven).body["metadata"]["resourceVersion"]
    asked = {"resourceVersion": version, "allowWatchBookmarks": "true", "timeoutSeconds": 3}
    events = [one for one in client.watch(seven, **asked) if one["type"] == "BOOKMARK"]
    assert int(events[-1]["object"]["metadata"]["resourceVersion"]) >= int(version)


def test_a_version_too_old_is_an_error_event_with_status_410(client, seven):
    (event,) = client.watch(seven, resourceVersion=1, timeoutSeconds=5)
    assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")


def test_a_table_has_the_declared_columns(client, seven):
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
    client.merge(f"{seven}/w1/status", {"status": {"conditions": [{"type": "Ready", "status": "True"}]}})
    body = client.send("GET", f"{seven}/w1", accept=accept).body
    assert [one["name"] for one in body["columnDefinitions"]] == ["Name", "Size", "Ready", "Colour", "Age"]
    assert [one["priority"] for one in body["columnDefinitions"]] == [0, 0, 0, 1, 0]
    assert body["rows"][0]["cells"][:4] == ["w1", 1, "True", "red"]
    assert body["rows"][0]["object"]["kind"] == "PartialObjectMetadata"


def test_discovery_tells_verbs_names_and_the_status(client, seven):
    listed = client.get("/apis/example.test/v1").body["resources"]
    kind = next(one for one in listed if one["name"] == "widgets")
    assert kind["shortNames"] == ["wd"] and kind["categories"] == ["gadgets"] and "watch" in kind["verbs"]
    assert "widgets/status" in [one["name"] for one in listed]
    assert "example.test" in [one["name"] for one in client.get("/apis").body["groups"]]
    assert "paths" in client.get("/openapi/v3/apis/example.test/v1").body


def test_what_is_not_served_is_not_found(client, seven):
    assert client.get("/apis/none.test/v1/things").code == 404
    assert client.get("/apis/example.test/v1/gadgets").code == 404
    answer = client.get(f"{seven}/absent")
    assert (answer.code, answer.body["kind"], answer.body["reason"]) == (404, "Status", "NotFound")


def test_both_faces_of_an_event_are_one_object(client, space):
    namespace = space.split("/")[5]
    about = {"kind": "Widget", "namespace": namespace, "name": "w", "apiVersion": "example.test/v1"}
    core = f"/api/v1/namespaces/{namespace}/events"
    made = client.post(
        core, {"metadata": {"name": "e"}, "involvedObject": about, "message": "hello", "reason": "R"}
    )
    assert made.code == 201, made.body
    modern = client.get(f"/apis/events.k8s.io/v1/namespaces/{namespace}/events/e").body
    assert (modern["note"], modern["regarding"]["name"], modern["apiVersion"]) == (
        "hello",
        "w",
        "events.k8s.io/v1",
    )
    chosen = client.get(core, fieldSelector="involvedObject.name=w,involvedObject.kind=Widget")
    assert names(chosen) == ["e"]
