"""Creating, replacing and patching: versions, generations, status, validation, strictness."""

from __future__ import annotations

import pytest


def test_a_created_object_has_identity_defaults_and_generation_one(client, space, widget):
    made = client.post(space, widget("a"))
    assert made.code == 201
    assert made.body["spec"] == {"size": 1, "colour": "red"}
    metadata = made.body["metadata"]
    assert metadata["generation"] == 1 and metadata["uid"] and metadata["creationTimestamp"].endswith("Z")
    assert client.get(f"{space}/a").body == made.body


def test_a_name_is_taken_once(client, space, widget):
    client.post(space, widget("a"))
    again = client.post(space, widget("a"))
    assert (again.code, again.body["reason"]) == (409, "AlreadyExists")
    assert again.body["details"] == {"name": "a", "group": "example.test", "kind": "widgets"}


def test_generate_name_appends_five_characters(client, space, widget):
    body = widget("x")
    body["metadata"] = {"generateName": "w-"}
    assert len(client.post(space, body).body["metadata"]["name"]) == 7


def test_nothing_is_created_in_a_namespace_that_does_not_exist(client, widget):
    answer = client.post("/apis/example.test/v1/namespaces/absent/widgets", widget("a"))
    assert (answer.code, answer.body["message"]) == (404, 'namespaces "absent" not found')


def test_a_stale_version_is_a_conflict_and_changes_nothing(client, space, widget):
    old = client.post(space, widget("a")).body
    client.merge(f"{space}/a", {"spec": {"size": 2}})
    old["spec"]["size"] = 3
    answer = client.put(f"{space}/a", old)
    assert (answer.code, answer.body["reason"]) == (409, "Conflict")
    assert client.get(f"{space}/a").body["spec"]["size"] == 2


def test_a_put_without_version_is_refused_for_custom_kinds(client, space, widget):
    client.post(space, widget("a"))
    assert client.put(f"{space}/a", widget("a", size=2)).causes == [
        ("FieldValueInvalid", "metadata.resourceVersion")
    ]


def test_generation_counts_changes_of_the_spec_alone(client, space, widget):
    client.post(space, widget("a"))
    assert (
        client.merge(f"{space}/a", {"metadata": {"labels": {"a": "b"}}}).body["metadata"]["generation"] == 1
    )
    status = client.merge(f"{space}/a/status", {"status": {"phase": "on"}}).body
    assert status["metadata"]["generation"] == 1
    assert client.merge(f"{space}/a", {"spec": {"size": 5}}).body["metadata"]["generation"] == 2


def test_a_write_that_changes_nothing_keeps_the_version(client, space, widget):
    version = client.post(space, widget("a")).body["metadata"]["resourceVersion"]
    same = client.merge(f"{space}/a", {"spec": {"size": 1}})
    assert same.body["metadata"]["resourceVersion"] == version


def test_status_and_spec_are_written_apart(client, space, widget):
    made = client.post(space, {**widget("a"), "status": {"phase": "no"}}).body
    assert "status" not in made
    made["status"], made["spec"]["size"] = {"phase": "yes"}, 50
    after = client.put(f"{space}/a/status", made).body
    assert (after["status"], after["spec"]["size"]) == ({"phase": "yes"}, 1)
    after["status"], after["spec"]["size"] = {"phase": "lost"}, 7
    last = client.put(f"{space}/a", after).body
    assert (last["status"], last["spec"]["size"]) == ({"phase": "yes"}, 7)


def test_every_broken_rule_is_a_cause(client, space, widget):
    answer = client.post(space, widget("a", size=-1, colour="pink", order="x"))
    assert answer.code == 422
    assert set(answer.causes) >= {
        ("FieldValueInvalid", "spec.size"),
        ("FieldValueNotSupported", "spec.colour"),
        ("FieldValueTypeInvalid", "spec.order"),
    }


def test_a_cel_rule_refuses_with_its_message(client, space, widget):
    answer = client.post(space, widget("a", size=9, high=3))
    assert answer.causes == [("FieldValueInvalid", "spec")]
    assert "high must not be below size" in answer.body["message"]


def test_a_transition_rule_refuses_a_change_and_allows_removal(client, space, widget):
    client.post(space, widget("a", serial="one"))
    assert client.merge(f"{space}/a", {"spec": {"serial": "two"}}).causes == [
        ("FieldValueInvalid", "spec.serial")
    ]
    assert client.merge(f"{space}/a", {"spec": {"serial": None}}).code == 200


def test_nulls_go_where_they_are_not_allowed_and_stay_where_they_are(client, space, widget):
    spec = client.post(space, widget("a", note=None, serial=None, colour=None)).body["spec"]
    assert spec == {"size": 1, "note": None, "colour": "red"}


def test_int_or_string_takes_both_and_nothing_else(client, space, widget):
    assert client.post(space, widget("a", share=1)).code == 201
    assert client.post(space, widget("b", share="25%")).code == 201
    assert client.post(space, widget("c", share=True)).code == 422


def test_duplicates_in_sets_and_map_lists_are_refused(client, space, widget):
    answer = client.post(space, widget("a", tags=["x", "x"], ports=[{"name": "p"}, {"name": "p"}]))
    assert set(answer.causes) == {
        ("FieldValueDuplicate", "spec.tags[1]"),
        ("FieldValueDuplicate", "spec.ports[1]"),
    }


def test_unknown_fields_are_pruned_with_a_warning_kept_where_free_or_refused(client, space, widget):
    body = widget("a", nosuch=1, free={"any": {"thing": None}})
    strict = client.post(space, body, fieldValidation="Strict")
    assert strict.code == 400 and 'unknown field "spec.nosuch"' in strict.body["message"]
    made = client.post(space, body)
    assert made.headers["Warning"] == '299 - "unknown field \\"spec.nosuch\\""'
    assert made.body["spec"]["free"] == {"any": {"thing": None}} and "nosuch" not in made.body["spec"]
    quiet = client.post(space, widget("b", nosuch=1), fieldValidation="Ignore")
    assert "Warning" not in quiet.headers
    assert client.merge(f"{space}/b", {"spec": {"nosuch": 1}}, fieldValidation="Strict").causes == [
        ("FieldValueInvalid", "patch")
    ]


def test_json_patch_is_all_or_nothing(client, space, widget):
    client.post(space, widget("a", tags=["x"]))
    form = "application/json-patch+json"
    good = [
        {"op": "test", "path": "/spec/size", "value": 1},
        {"op": "add", "path": "/spec/tags/-", "value": "y"},
        {"op": "replace", "path": "/spec/size", "value": 4},
    ]
    assert client.send("PATCH", f"{space}/a", good, form).body["spec"] == {
        "size": 4,
        "colour": "red",
        "tags": ["x", "y"],
    }
    bad = [
        {"op": "replace", "path": "/spec/size", "value": 5},
        {"op": "test", "path": "/spec/size", "value": 1},
    ]
    assert client.send("PATCH", f"{space}/a", bad, form).code == 422
    assert client.get(f"{space}/a").body["spec"]["size"] == 4


def test_custom_kinds_take_no_strategic_merge(client, space, widget):
    client.post(space, widget("a"))
    answer = client.send("PATCH", f"{space}/a", {}, "application/strategic-merge-patch+json")
    assert answer.code == 415


def test_a_dry_run_answers_and_stores_nothing(client, space, widget):
    assert client.post(space, widget("a"), dryRun="All").code == 201
    assert client.get(f"{space}/a").code == 404
    client.post(space, widget("a"))
    assert client.merge(f"{space}/a", {"spec": {"size": 9}}, dryRun="All").body["spec"]["size"] == 9
    assert client.delete(f"{space}/a", dryRun="All").code == 200
    assert client.get(f"{space}/a").body["spec"]["size"] == 1


def test_bad_names_and_labels_are_refused(client, space, widget):
    assert client.post(space, widget("Not_A_Name")).causes == [("FieldValueInvalid", "metadata.name")]
    assert client.post(space, widget("a", {"labels": {"k": "b a d"}})).causes == [
        ("FieldValueInvalid", "metadata.labels")
    ]


def test_secrets_take_plain_strings_and_keep_them_encoded(client, space):
    secrets = space.replace("/apis/example.test/v1", "/api/v1").replace("widgets", "secrets")
    made = client.post(secrets, {"metadata": {"name": "s"}, "stringData": {"a": "b"}}).body
    assert (made["data"], made["type"], "stringData" in made) == ({"a": "Yg=="}, "Opaque", False)
    assert client.merge(f"{secrets}/s", {"type": "other"}).code == 422


def test_unreadable_bodies_are_bad_requests(client, space):
    answer = client.session.post(client.base + space, data=b"{", headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["reason"]) == (400, "BadRequest")
    config = space.replace("/apis/example.test/v1", "/api/v1").replace("widgets", "configmaps")
    assert client.post(config, {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "a"}}).code == 400


def test_a_custom_object_of_another_kind_is_invalid(client, space):
    answer = client.post(
        space, {"kind": "Gadget", "apiVersion": "example.test/v1", "metadata": {"name": "a"}}
    )
    assert (answer.code, answer.causes) == (422, [("FieldValueInvalid", "kind")])


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"type": "object", "description": "Standard object metadata."}, 422),
        ({"type": "object", "properties": {"labels": {"type": "object"}}}, 422),
        ({"type": "object", "required": ["name"]}, 422),
        ({"type": "object", "properties": {"name": {"type": "string", "maxLength": 5}}}, 201),
        ({"type": "object"}, 201),
    ],
)
def test_a_definition_says_nothing_of_metadata_but_its_names(client, said, code):
    schema = {"type": "object", "properties": {"metadata": said}}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"kind": "Thing", "plural": "things"}
    spec = {"group": "said.test", "scope": "Namespaced", "names": names, "versions": [version]}
    document = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.said.test"},
        "spec": spec,
    }
    where = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions?dryRun=All"
    answer = client.post(where, document)
    assert answer.code == code, answer.body
    if code == 422:
        assert [reason for reason, _ in answer.causes] == ["FieldValueForbidden"]
