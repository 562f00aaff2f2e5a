"""kubectl as people use it."""

from __future__ import annotations

import json

import pytest
import yaml


@pytest.fixture
def here(space):
    return ("-n", space.split("/")[5])


@pytest.fixture
def manifest(widget):
    return lambda *args, **spec: yaml.safe_dump(widget(*args, **spec))


def test_apply_creates_then_leaves_alone_then_changes(kubectl, here, manifest):
    apply = ("apply", *here, "-f", "-")
    assert "created" in kubectl(*apply, given=manifest("a", high=5))
    assert "unchanged" in kubectl(*apply, given=manifest("a", high=5))
    assert "configured" in kubectl(*apply, given=manifest("a", size=2))
    spec = json.loads(kubectl("get", "wd", "a", *here, "-o", "json"))["spec"]
    assert spec == {"size": 2, "colour": "red"}


def test_apply_refuses_unknown_fields_and_shows_broken_rules(kubectl, here, manifest):
    apply = ("apply", *here, "-f", "-")
    assert 'unknown field "spec.nosuch"' in kubectl(*apply, given=manifest("a", nosuch=1), code=1)
    assert "high must not be below size" in kubectl(*apply, given=manifest("a", size=9, high=1), code=1)


def test_server_side_apply_reports_conflicts(kubectl, here, manifest):
    apply = ("apply", "--server-side", *here, "-f", "-")
    kubectl(*apply, given=manifest("a"))
    other = (*apply, "--field-manager", "other")
    assert "conflict" in kubectl(*other, given=manifest("a", size=3), code=1)
    assert "serverside-applied" in kubectl(*other, "--force-conflicts", given=manifest("a", size=3))


def test_get_shows_the_columns(kubectl, here, manifest):
    kubectl("create", *here, "-f", "-", given=manifest("a", size=4))
    lines = kubectl("get", "widgets", *here).splitlines()
    assert lines[0].split() == ["NAME", "SIZE", "READY", "AGE"] and lines[1].split()[:2] == ["a", "4"]
    wide = kubectl("get", "gadgets", *here, "-o", "wide").split()
    assert wide[:5] == ["NAME", "SIZE", "READY", "COLOUR", "AGE"]
    assert yaml.safe_load(kubectl("get", "wd/a", *here, "-o", "yaml"))["spec"]["size"] == 4


def test_get_watches(kubectl, here, manifest, client, space):
    process = kubectl.start("get", "widgets", *here, "-w", "--no-headers")
    try:
        kubectl("create", *here, "-f", "-", given=manifest("a", size=4))
        assert process.stdout.readline().split()[:2] == ["a", "4"]
        client.merge(f"{space}/a", {"spec": {"size": 5}})
        assert process.stdout.readline().split()[:2] == ["a", "5"]
    finally:
        process.kill()
        process.communicate()


def test_edit_changes_the_object(kubectl, here, manifest):
    kubectl("create", *here, "-f", "-", given=manifest("a"))
    editor = kubectl.editor("text = text.replace('size: 1', 'size: 42')")
    assert "edited" in kubectl("edit", "wd", "a", *here, EDITOR=editor)
    assert kubectl("get", "wd", "a", *here, "-o", "jsonpath={.spec.size}") == "42"


def test_patch_label_and_delete(kubectl, here, manifest):
    kubectl("create", *here, "-f", "-", given=manifest("a"))
    kubectl("patch", "wd", "a", *here, "--type", "merge", "-p", '{"spec":{"size":8}}')
    kubectl("patch", "wd", "a", *here, "--type", "json", "-p", '[{"op":"remove","path":"/spec/colour"}]')
    kubectl(
        "patch",
        "wd",
        "a",
        *here,
        "--subresource",
        "status",
        "--type",
        "merge",
        "-p",
        '{"status":{"phase":"on"}}',
    )
    kubectl("label", "wd", "a", *here, "x=y")
    value = json.loads(kubectl("get", "wd", "a", *here, "-o", "json"))
    assert (value["spec"], value["status"]) == ({"size": 8, "colour": "red"}, {"phase": "on"})
    assert value["metadata"]["labels"] == {"x": "y"}
    assert "deleted" in kubectl("delete", "wd", "a", *here)
    assert "NotFound" in kubectl("get", "wd", "a", *here, code=1)


def test_describe_shows_fields_and_events(kubectl, here, manifest, client, space):
    kubectl("create", *here, "-f", "-", given=manifest("a"))
    uid = client.get(f"{space}/a").body["metadata"]["uid"]
    about = {"kind": "Widget", "namespace": here[1], "name": "a", "uid": uid}
    event = {"metadata": {"name": "e"}, "involvedObject": about, "message": "it rolls", "reason": "Rolled"}
    assert client.post(f"/api/v1/namespaces/{here[1]}/events", event).code == 201
    shown = kubectl("describe", "wd", "a", *here)
    assert "Size:" in shown and "it rolls" in shown


def test_explain_knows_the_fields(kubectl):
    assert "What is wanted of the widget." in kubectl("explain", "widget.spec")
    assert "How big it is." in kubectl("explain", "widgets.spec.size")


def test_core_kinds_are_created_and_applied(kubectl, here):
    kubectl("create", "secret", "generic", "s", *here, "--from-literal=k=v")
    kubectl("create", "configmap", "c", *here, "--from-literal=k=v")
    assert kubectl("get", "secret", "s", *here, "-o", "jsonpath={.data.k}") == "dg=="
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "d"},
        "data": {"a": "1", "b": "2"},
    }
    kubectl("apply", *here, "-f", "-", given=json.dumps(config))
    config["data"] = {"b": "3"}
    kubectl("apply", *here, "-f", "-", given=json.dumps(config))
    assert json.loads(kubectl("get", "cm", "d", *here, "-o", "jsonpath={.data}")) == {"b": "3"}


def test_the_server_says_who_we_are_and_what_we_may(kubectl):
    assert kubectl("auth", "can-i", "create", "widgets").strip() == "yes"
    assert "widgets" in kubectl("api-resources", "--api-group", "example.test")
