"""What the examples show is accepted: no field that would be pruned, no value that would be refused."""

from __future__ import annotations

import jsonschema
import pytest
import yaml

from tests.contract.sources import ROOT

EXAMPLES = sorted((ROOT / "examples").rglob("*.yaml"))


def definitions():
    found = {}
    for path in (ROOT / "schemas" / "crds").glob("*.yaml"):
        spec = yaml.safe_load(path.read_text("utf-8"))["spec"]
        found[spec["names"]["kind"]] = closed(spec["versions"][0]["schema"]["openAPIV3Schema"])
    return found


def closed(schema):
    """The schema as an API server reads it: integers or texts where it says so, nothing that is not named."""
    inside = {**schema}
    if "properties" in schema:
        inside["properties"] = {name: closed(field) for name, field in schema["properties"].items()}
        inside.setdefault("additionalProperties", False)
    if "items" in schema:
        inside["items"] = closed(schema["items"])
    return inside


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_accepted(path):
    known = definitions()
    for document in yaml.safe_load_all(path.read_text("utf-8")):
        schema = known[document["kind"]]
        schema["properties"]["metadata"] = {"type": "object", "required": ["name", "namespace"]}
        jsonschema.validate(document, schema)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_begins_with_what_it_is(path):
    assert path.read_text("utf-8").startswith("# ")
