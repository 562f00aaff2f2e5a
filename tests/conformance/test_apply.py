"""Server-side apply: ownership, conflicts, force, and what a manager lets go."""

from __future__ import annotations

import pytest


@pytest.fixture
def applied(client, space, widget):
    def apply(manager, force="false", **spec):
        body = widget("a")
        body["spec"] = spec
        return client.apply(f"{space}/a", body, manager, force=force)

    return apply


def fields_of(body, manager):
    return next(one["fieldsV1"] for one in body["metadata"]["managedFields"] if one["manager"] == manager)


def test_applying_creates_and_records_the_fields(applied):
    made = applied("one", size=1, tags=["x"], ports=[{"name": "p", "use": "web"}])
    assert made.code == 201
    entry = made.body["metadata"]["managedFields"]
    assert [(one["manager"], one["operation"]) for one in entry] == [("one", "Apply")]
    assert fields_of(made.body, "one") == {
        "f:spec": {
            "f:size": {},
            "f:tags": {'v:"x"': {}},
            "f:ports": {'k:{"name":"p"}': {".": {}, "f:name": {}, "f:use": {}}},
        }
    }


def test_applying_the_same_again_stores_nothing(applied):
    version = applied("one", size=1).body["metadata"]["resourceVersion"]
    assert applied("one", size=1).body["metadata"]["resourceVersion"] == version


def test_another_value_is_a_conflict_that_names_owner_and_field(applied):
    applied("one", size=1)
    answer = applied("two", size=2)
    assert (answer.code, answer.body["reason"]) == (409, "Conflict")
    assert answer.causes == [("FieldManagerConflict", ".spec.size")]
    assert 'conflict with "one"' in answer.body["message"]


def test_force_takes_the_field_over(applied):
    applied("one", size=1)
    taken = applied("two", force="true", size=2).body
    assert taken["spec"]["size"] == 2
    assert [one["manager"] for one in taken["metadata"]["managedFields"]] == ["two"]


def test_the_same_value_is_shared(applied):
    applied("one", size=1)
    both = applied("two", size=1, high=7)
    assert both.code == 200
    alone = applied("one", size=1).body
    assert alone["spec"] == {"size": 1, "high": 7, "colour": "red"}
    assert fields_of(alone, "two") == {"f:spec": {"f:size": {}, "f:high": {}}}


def test_a_field_no_longer_applied_goes_unless_another_owns_it(applied):
    applied("one", size=1, high=9, labels={"a": "1", "b": "2"})
    applied("two", size=1, labels={"b": "2"})
    left = applied("one", size=1).body["spec"]
    assert left == {"size": 1, "colour": "red", "labels": {"b": "2"}}


def test_map_lists_and_sets_merge_by_item_and_atomic_lists_as_a_whole(applied):
    applied("one", size=1, ports=[{"name": "p"}, {"name": "q"}], tags=["x"], order=["a"])
    spec = applied("two", size=1, ports=[{"name": "r"}], tags=["y"]).body["spec"]
    assert [port["name"] for port in spec["ports"]] == ["p", "q", "r"] and spec["tags"] == ["x", "y"]
    assert applied("two", size=1, order=["b"]).code == 409
    spec = applied("one", size=1, ports=[{"name": "q"}], order=["c"]).body["spec"]
    assert ([port["name"] for port in spec["ports"]], spec["order"]) == (["q", "r"], ["c"])


def test_an_update_takes_ownership_so_that_applying_conflicts(applied, client, space):
    applied("one", size=1)
    client.merge(f"{space}/a", {"spec": {"size": 5}}, fieldManager="hand")
    answer = applied("one", size=1)
    assert answer.code == 409 and 'conflict with "hand"' in answer.body["message"]


def test_status_is_applied_apart(applied, client, space, widget):
    applied("one", size=1)
    body = {**widget("a"), "status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    after = client.apply(f"{space}/a/status", body, "one").body
    assert after["status"]["conditions"] == [{"type": "Ready", "status": "True"}]
    subresources = {one.get("subresource") for one in after["metadata"]["managedFields"]}
    assert subresources == {None, "status"}


def test_apply_wants_a_manager_and_declared_fields(applied, client, space, widget):
    assert client.send("PATCH", f"{space}/a", widget("a"), "application/apply-patch+yaml").code in (400, 422)
    answer = applied("one", size=1, nosuch=1)
    assert answer.code == 500 and ".spec.nosuch: field not declared in schema" in answer.body["message"]
