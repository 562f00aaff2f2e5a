"""The CRDs accept what the reference operator's accept, word for word; what we add is additive.

The fact table names every field of the reference with its type, default, limits and rules, and the messages
by their SHA-256.
"""

from __future__ import annotations

import hashlib
import json

import pytest
import yaml

from tests.contract.sources import ROOT

FACTS = json.loads((ROOT / "tests/golden/reference/crds.json").read_text("utf-8"))["crds"]
PLAIN = (
    "type",
    "format",
    "enum",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maxItems",
    "default",
    "anyOf",
)
EXTENSIONS = {
    "mapType": "x-kubernetes-map-type",
    "listType": "x-kubernetes-list-type",
    "listMapKeys": "x-kubernetes-list-map-keys",
    "preserveUnknownFields": "x-kubernetes-preserve-unknown-fields",
    "intOrString": "x-kubernetes-int-or-string",
}
ADDED_STATUS = {"observedGeneration", "conditions", "intents", "sent", "endpoints", "pendingDigest"} | {
    "agreedDigest",
    "foundDigest",
    "shownDigest",
    "sha256",
    "size",
}
ADDED_SPEC = {"driftPolicy", "restore", "directory", "certificateAuthority", "encryption"}
LOOSENED = {"spec.backupStorage", "spec.backupTemplate.spec.backupStorage"}
"""Where the reference requires `s3` and we require one of the stores."""
MANAGED = {"TalosCluster", "TalosControlPlane", "TalosWorker", "TalosMachine"}


def ours(facts):
    return yaml.safe_load((ROOT / "schemas/crds" / f"{facts['plural']}.yaml").read_text("utf-8"))


def flat(schema, path="$"):
    """Path -> field schema, in the notation of the fact table."""
    yield path, schema
    inside = "" if path == "$" else f"{path}."
    for name, field in schema.get("properties", {}).items():
        yield from flat(field, f"{inside}{name}")
    if "items" in schema:
        yield from flat(schema["items"], f"{path}[]")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from flat(schema["additionalProperties"], f"{path}{{}}")


def as_facts(schema):
    """What the fact table says of a field, from our schema."""
    facts = {name: schema[name] for name in PLAIN if name in schema}
    facts |= {name: schema[key] for name, key in EXTENSIONS.items() if key in schema}
    if "required" in schema:
        facts["requires"] = sorted(schema["required"])
    rules = schema.get("x-kubernetes-validations", [])
    if rules:
        facts["cel"] = [
            (rule["rule"], hashlib.sha256(rule["message"].encode()).hexdigest()) for rule in rules
        ]
    return facts


def as_given(field):
    """The same of the fact table's entry."""
    facts = {name: field[name] for name in (*PLAIN, *EXTENSIONS) if name in field}
    if field.get("intOrString"):
        facts.pop("type", None)
    if "requires" in field:
        facts["requires"] = sorted(field["requires"])
    if field.get("cel"):
        facts["cel"] = [(rule["rule"], rule["messageSha256"]) for rule in field["cel"]]
    return facts


@pytest.fixture(params=FACTS, ids=lambda facts: facts["kind"])
def facts(request):
    return request.param


def test_names_and_scope_are_the_references(facts):
    spec = ours(facts)["spec"]
    assert spec["group"] == facts["group"]
    assert spec["scope"] == facts["scope"]
    names = {key: spec["names"][key] for key in ("kind", "listKind", "plural", "singular", "shortNames")}
    assert names == {key: facts[key] for key in names}
    assert ours(facts)["metadata"] == {"name": facts["name"]}


def test_the_one_version_is_served_stored_and_has_a_status(facts):
    (version,) = ours(facts)["spec"]["versions"]
    (given,) = facts["versions"]
    assert (version["name"], version["served"], version["storage"]) == (given["name"], True, True)
    assert version["subresources"] == given["subresources"]


def test_every_field_is_as_in_the_reference(facts):
    (version,) = ours(facts)["spec"]["versions"]
    fields = dict(flat(version["schema"]["openAPIV3Schema"]))
    differences = {
        field["path"]: (as_facts(fields.get(field["path"], {})), as_given(field))
        for field in facts["versions"][0]["fields"]
        if as_facts(fields.get(field["path"], {})) != as_given(field)
    }
    for path in LOOSENED & set(differences):
        mine, given = differences.pop(path)
        assert given.pop("requires") == ["s3"]
        assert len(mine.pop("cel")) == 1
        assert mine == given
    assert differences == {}


def test_only_the_status_the_policy_on_drift_the_restore_and_the_stores_of_backups_are_more(facts):
    (version,) = ours(facts)["spec"]["versions"]
    known = {field["path"] for field in facts["versions"][0]["fields"]}
    added = {path for path, _ in flat(version["schema"]["openAPIV3Schema"])} - known
    status = {path for path in added if path.startswith("status.")}
    assert [path for path in added - status if not ADDED_SPEC & set(path.replace("[]", "").split("."))] == []
    assert {path.split(".")[1].split("[")[0].split("{")[0] for path in status} <= ADDED_STATUS


def test_conditions_and_observed_generation_are_on_all(facts):
    (version,) = ours(facts)["spec"]["versions"]
    status = version["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]
    assert status["conditions"]["x-kubernetes-list-map-keys"] == ["type"]
    assert status["observedGeneration"]["type"] == "integer"
    assert ("intents" in status) is (facts["kind"] in MANAGED)


def test_the_references_columns_come_in_their_order(facts):
    (version,) = ours(facts)["spec"]["versions"]
    given = [
        # kubectl shows the age of a date, and `<invalid>` for one to come
        column | {"type": "string"} if column["jsonPath"] == ".status.nextScheduleTime" else column
        for column in facts["versions"][0]["printerColumns"]
    ]
    columns = [
        {key: column[key] for key in ("name", "type", "jsonPath")}
        for column in version["additionalPrinterColumns"]
    ]
    assert columns == given or not given


def test_every_field_explains_itself(facts):
    (version,) = ours(facts)["spec"]["versions"]
    silent = [
        path for path, schema in flat(version["schema"]["openAPIV3Schema"]) if not schema.get("description")
    ]
    assert silent == ["metadata"], "what Kubernetes itself describes, and lets nobody else describe"


def test_the_parts_of_a_cluster_are_the_kinds_of_their_own():
    by_kind = {facts["kind"]: ours(facts) for facts in FACTS}

    def spec(kind):
        return by_kind[kind]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]

    def bare(schema):
        return {path: as_facts(field) for path, field in flat(schema)}

    cluster = spec("TalosCluster")["properties"]
    assert bare(cluster["controlPlane"]) == bare(spec("TalosControlPlane"))
    assert bare(cluster["worker"]) == bare(spec("TalosWorker"))
