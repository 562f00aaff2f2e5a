"""The shipped CRDs get from the embedded API the verdicts that a real kube-apiserver 1.37 gave."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

GOLDEN = Path(__file__).parent / "golden"
MANIFESTS = json.loads((GOLDEN / "admission.json").read_text())["manifests"]
GROUPS = json.loads((GOLDEN / "updates.json").read_text())["groups"]
EXAMPLES = sorted((Path(__file__).parents[3] / "examples").rglob("*.yaml"))
API = "/apis/talos.alperen.cloud/v1alpha1/namespaces/default"

RULES_OF_OUR_OWN = {"TalosEtcdBackup", "TalosEtcdBackupSchedule"}
"""Where the reference's definition has no CEL rule and ours has, a server adds that rules were not checked."""
UNCHECKED = ("FieldValueInvalid", "<nil>")


def causes_of(observed):
    return sorted((one["reason"], one["field"]) for one in observed["causes"])


@pytest.mark.parametrize("case", MANIFESTS, ids=lambda case: case["id"])
def test_a_manifest_is_admitted_or_refused_as_by_a_real_server(shipped, case):
    documents = [one for one in yaml.safe_load_all((GOLDEN / "manifests" / case["file"]).read_text()) if one]
    assert len(documents) == len(case["observed"])
    for document, observed in zip(documents, case["observed"], strict=True):
        own = "talos" in document["apiVersion"]
        path = f"{API if own else '/api/v1/namespaces/default'}/{document['kind'].lower()}s"
        strict = shipped.post(path, document, fieldValidation="Strict", dryRun="All")
        assert strict.code == observed["httpStatusStrict"], strict.body
        answer = shipped.post(path, document, dryRun="All")
        assert answer.code == observed["httpStatus"], answer.body
        assert answer.body.get("reason") == observed["reason"]
        unasked = [UNCHECKED] if document["kind"] in RULES_OF_OUR_OWN else []
        causes = [cause for cause in answer.causes if cause not in unasked]
        assert sorted(causes) == causes_of(observed), answer.body["message"]


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: f"{group['kind']}-{group['name']}")
def test_updates_get_the_verdicts_of_a_real_server(shipped, group):
    path = f"{API}/{group['kind'].lower()}s"
    made = shipped.post(path, {"metadata": {"name": group["name"]}, "spec": group["spec"]})
    assert made.code == 201, made.body
    for update in group["updates"]:
        query = dict(pair.split("=") for pair in update.get("query", "").split("&") if pair)
        answer = shipped.merge(f"{path}/{group['name']}", update["patch"], **query)
        assert (update["id"], answer.code) == (update["id"], update["httpStatus"]), answer.body
        assert sorted(answer.causes) == causes_of(update), update["id"]


def test_a_null_spec_is_dropped_where_none_is_required(shipped):
    document = {"metadata": {"name": "hollow"}, "spec": None}
    stored = shipped.post(f"{API}/talosmachines", document).body
    assert "spec" not in stored


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_has_no_field_that_is_not_known_and_no_value_that_is_refused(shipped, path):
    for document in yaml.safe_load_all(path.read_text("utf-8")):
        place = f"{API.rpartition('/')[0]}/{document['metadata']['namespace']}/{document['kind'].lower()}s"
        query = {"fieldValidation": "Strict", "dryRun": "All"}
        answer = shipped.post(place, document, **query)
        assert answer.code == 201, answer.body
        document["spec"]["nosuch"] = 1
        assert shipped.post(place, document, **query).code == 400
