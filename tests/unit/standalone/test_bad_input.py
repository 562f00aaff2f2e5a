"""What nobody should send gets a Status that says so, and the server goes on."""

from __future__ import annotations

import json
import time

import pytest

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
MAPS = "/api/v1/namespaces/default/configmaps"
YAML = "application/apply-patch+yaml"


def crd(schema, **version):
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        **version,
    }
    spec = {
        "group": "b.test",
        "scope": "Cluster",
        "names": {"kind": "B", "plural": "bs"},
        "versions": [version],
    }
    return {"metadata": {"name": "bs.b.test"}, "spec": spec}


@pytest.mark.parametrize(
    "body",
    [
        [],
        "text",
        {"metadata": []},
        {"metadata": {"name": 5}},
        {"metadata": {"generateName": 5}},
        {"metadata": {"name": "a", "labels": "x"}},
        {"metadata": {"name": "a", "labels": {"a": 1}}},
        {"metadata": {"name": "a", "ownerReferences": [1]}},
        {"metadata": {"name": "a", "finalizers": {"a": "b"}}},
        {"metadata": {"name": "a"}, "kind": 7},
    ],
    ids=json.dumps,
)
def test_an_object_that_is_none_is_a_bad_request(shipped, body):
    assert shipped.post(MAPS, body).code == 400


def test_yaml_that_unfolds_without_end_is_refused_at_once(shipped):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    began = time.monotonic()
    answer = shipped.session.patch(
        f"{shipped.base}{MAPS}/x?fieldManager=m",
        data="\n".join(lines),
        headers={"Content-Type": YAML},
        timeout=10,
    )
    assert (answer.status_code, time.monotonic() - began < 5) == (400, True)


def test_deep_nesting_is_a_bad_request(shipped):
    for depth in (500, 100_000):
        deep = '{"metadata":{"name":"a"},"data":' + '{"a":' * depth + "1" + "}" * depth + "}"
        answer = shipped.session.post(
            shipped.base + MAPS, data=deep, headers={"Content-Type": "application/json"}, timeout=10
        )
        assert answer.status_code in (400, 422), answer.text


def test_a_body_over_the_limit_is_413(shipped):
    answer = shipped.post(MAPS, {"metadata": {"name": "a"}, "data": {"x": "y" * 4_000_000}})
    assert (answer.code, answer.body["reason"]) == (413, "RequestEntityTooLarge")


@pytest.mark.parametrize(
    ("schema", "field"),
    [
        ({"type": "object", "properties": []}, "properties"),
        (
            {"type": "object", "properties": {"a": {"type": "string", "pattern": "("}}},
            "properties[a].pattern",
        ),
        (
            {"type": "object", "x-kubernetes-validations": [{"rule": "self.("}]},
            "x-kubernetes-validations[0].rule",
        ),
    ],
)
def test_a_definition_that_could_not_be_served_is_refused(shipped, schema, field):
    answer = shipped.post(CRDS, crd(schema))
    assert answer.code == 422
    assert [one[1] for one in answer.causes] == [f"spec.versions[0].schema.openAPIV3Schema.{field}"]
    assert shipped.get("/apis/b.test/v1/bs").code == 404


def test_odd_queries_are_bad_requests(shipped):
    for query in (
        {"limit": "x"},
        {"resourceVersion": "x"},
        {"continue": "x"},
        {"labelSelector": "a b c"},
        {"fieldSelector": "x"},
    ):
        assert shipped.get(MAPS, **query).code == 400, query
    assert shipped.post(MAPS, {"metadata": {"name": "q"}}, dryRun="Some").code == 400
    assert shipped.post(MAPS, {"metadata": {"name": "q"}}, fieldValidation="Maybe").code == 400
    assert shipped.delete(f"{MAPS}/q", {"propagationPolicy": "Sideways"}).code in (400, 404)


def test_a_secret_never_shows_in_an_error(shipped):
    answer = shipped.post(
        "/api/v1/namespaces/default/secrets", {"metadata": {"name": "s"}, "data": {"k": "h*i*d*d*e*n"}}
    )
    assert answer.code == 422 and "h*i*d*d*e*n" not in json.dumps(answer.body)
