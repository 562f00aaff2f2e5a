"""Deletes: finalizers, preconditions, propagation, namespaces and definitions."""

from __future__ import annotations


def gone(client, path):
    return lambda: client.get(path).code == 404


def owned(owner, **more):
    reference = {"apiVersion": "example.test/v1", "kind": "Widget", "name": owner["metadata"]["name"], **more}
    return {"ownerReferences": [{**reference, "uid": owner["metadata"]["uid"]}]}


def test_a_delete_answers_success_with_the_uid(client, space, widget):
    uid = client.post(space, widget("a")).body["metadata"]["uid"]
    answer = client.delete(f"{space}/a").body
    assert (answer["status"], answer["details"]["uid"]) == ("Success", uid)
    assert client.delete(f"{space}/a").code == 404


def test_a_finalizer_holds_an_object_until_it_is_taken_away(client, space, widget):
    client.post(space, widget("a", {"finalizers": ["example.test/hold"]}))
    marked = client.delete(f"{space}/a").body
    assert marked["metadata"]["deletionTimestamp"] and marked["metadata"]["generation"] == 2
    added = client.merge(
        f"{space}/a", {"metadata": {"finalizers": ["example.test/hold", "example.test/new"]}}
    )
    assert set(added.causes) == {("FieldValueForbidden", "metadata.finalizers")}
    assert client.merge(f"{space}/a", {"metadata": {"finalizers": None}}).code == 200
    assert client.get(f"{space}/a").code == 404


def test_preconditions_guard_a_delete(client, space, widget):
    version = client.post(space, widget("a")).body["metadata"]["resourceVersion"]
    assert client.delete(f"{space}/a", {"preconditions": {"uid": "other"}}).code == 409
    assert client.delete(f"{space}/a", {"preconditions": {"resourceVersion": "7"}}).code == 409
    assert client.delete(f"{space}/a", {"preconditions": {"resourceVersion": version}}).code == 200


def test_background_deletes_dependents_afterwards(client, space, widget, until):
    owner = client.post(space, widget("owner")).body
    client.post(space, widget("child", owned(owner)))
    client.delete(f"{space}/owner", {"propagationPolicy": "Background"})
    until(gone(client, f"{space}/child"))


def test_foreground_waits_for_dependents_that_block(client, space, widget, until):
    owner = client.post(space, widget("owner")).body
    child = owned(owner, blockOwnerDeletion=True) | {"finalizers": ["example.test/hold"]}
    client.post(space, widget("child", child))
    client.delete(f"{space}/owner", {"propagationPolicy": "Foreground"})
    until(lambda: client.get(f"{space}/child").body["metadata"].get("deletionTimestamp"))
    assert client.get(f"{space}/owner").body["metadata"]["finalizers"] == ["foregroundDeletion"]
    client.merge(f"{space}/child", {"metadata": {"finalizers": []}})
    until(gone(client, f"{space}/owner"))


def test_orphan_leaves_dependents_without_their_owner(client, space, widget, until):
    owner = client.post(space, widget("owner")).body
    client.post(space, widget("child", owned(owner)))
    client.delete(f"{space}/owner", {"propagationPolicy": "Orphan"})
    until(gone(client, f"{space}/owner"))
    assert (
        "ownerReferences" not in client.get(f"{space}/child").body["metadata"]
        or not (client.get(f"{space}/child").body["metadata"]["ownerReferences"])
    )


def test_a_dependent_with_a_second_owner_stays(client, space, widget, until):
    first, second = (client.post(space, widget(name)).body for name in ("first", "second"))
    both = {"ownerReferences": owned(first)["ownerReferences"] + owned(second)["ownerReferences"]}
    client.post(space, widget("child", both))
    client.delete(f"{space}/first")
    until(lambda: len(client.get(f"{space}/child").body["metadata"]["ownerReferences"]) == 1)


def test_a_collection_is_deleted_by_selector(client, space, widget):
    for name in ("a", "b"):
        client.post(space, widget(name, {"labels": {"name": name}}))
    assert client.delete(space, labelSelector="name=a").code == 200
    assert [one["metadata"]["name"] for one in client.get(space).body["items"]] == ["b"]


def test_a_namespace_takes_its_content_along(client, space, widget, until):
    client.post(space, widget("a", {"finalizers": ["example.test/hold"]}))
    name = space.split("/")[5]
    assert client.delete(f"/api/v1/namespaces/{name}").body["status"]["phase"] == "Terminating"
    assert client.post(space, widget("b")).code == 403
    until(lambda: client.get(f"{space}/a").body["metadata"].get("deletionTimestamp"))
    client.merge(f"{space}/a", {"metadata": {"finalizers": []}})
    until(gone(client, f"/api/v1/namespaces/{name}"))
