"""Files that are applied at the start, and what keeps them from being Ready; new kinds; progress."""

from __future__ import annotations

import pytest

from engine.base.errors import SettingsError
from engine.bringup import apply_files, obstacles
from engine.definitions import install_kinds, missing_kinds
from engine.progress import rows
from tests.unit.spine.server import spine
from tests.unit.spine.world import rules_of

GOOD = """
apiVersion: example.org/v1
kind: Widget
metadata: {{name: w, namespace: {namespace}}}
spec: {{size: 1}}
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: c, namespace: {namespace}}}
data: {{a: b}}
"""


@pytest.fixture
def file(tmp_path, server):
    path = tmp_path / "wish.yaml"
    path.write_text(GOOD.format(namespace=server.namespace))
    return path


def test_every_document_is_applied_and_a_second_time_changes_nothing(server, file):
    applied = apply_files(server.client, [file])
    assert [item.key.name for item in applied] == ["w", "c"]
    before = server.get()
    apply_files(server.client, [file])
    assert server.get() == before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "expected"),
        ("just text", "document 1 needs apiVersion, kind and metadata"),
        ("{apiVersion: v1, kind: ConfigMap}", "document 1 needs apiVersion, kind and metadata"),
        ("{apiVersion: v1, kind: ConfigMap, metadata: c}", "document 1 needs metadata.name"),
        ("{apiVersion: v1, kind: ConfigMap, metadata: {}}", "document 1 needs metadata.name"),
        ("{apiVersion: example.org/v1, kind: Gadget, metadata: {name: g}}", "Gadget g"),
        ("{apiVersion: example.org/v1, kind: Widget, metadata: {name: g}, spec: {size: big}}", "size"),
    ],
)
def test_a_file_that_cannot_be_applied_is_an_error_that_names_it_and_says_why(server, tmp_path, text, said):
    path = tmp_path / "wish.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError) as caught:
        apply_files(server.client, [path])
    assert str(path) in str(caught.value)
    assert said in str(caught.value)


def test_a_file_that_is_not_there_or_no_text_is_an_error(server, tmp_path):
    with pytest.raises(SettingsError, match="No such file"):
        apply_files(server.client, [tmp_path / "nothing.yaml"])
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match=r"bytes\.yaml"):
        apply_files(server.client, [tmp_path / "bytes.yaml"])


def ready(status, generation=1, **more):
    condition = {
        "type": "Ready",
        "status": status,
        "observedGeneration": generation,
        "reason": "R",
        "message": "m",
    }
    return {"status": {"conditions": [condition | more]}}


def test_an_object_is_an_obstacle_until_its_last_change_is_ready(server, file):
    applied = apply_files(server.client, [file])
    key = server.key()

    def told():
        return [text.removeprefix(f"{key}: ") for text in obstacles(server.client, applied)]

    assert told() == ["not looked at yet"]
    server.client.patch_status(key, ready("False"))
    assert told() == ["R: m"]
    server.client.patch_status(key, ready("True"))
    assert told() == []
    server.client.patch(key, {"spec": {"size": 2}})
    assert told() == ["its last change was not looked at yet"]
    server.client.patch_status(key, ready("True", 2))
    assert told() == []
    server.client.delete(key)
    assert len(told()) == 1


def test_the_kinds_that_rules_bring_are_served_afterwards_and_missing_ones_are_named(server):
    rules = rules_of("act: []")
    install_kinds(server.client, rules)
    assert missing_kinds(server.client, rules) == []
    text = "act: []"
    (rule,) = rules_of(text).rules.values()
    gone = type(rules)(
        rules={type(rule.kind)("nowhere.org", "v1", "Gadget", "gadgets"): rule},
        engine_metrics=(),
        kinds=frozenset(),
        on_demand=frozenset(),
        operations=(),
        digest="",
    )
    assert missing_kinds(server.client, gone) == ["gadgets.nowhere.org"]


def test_progress_shows_each_object_its_word_and_what_it_waits_for(server):
    with spine(server) as over:
        server.make("a", status={"word": "x"})
        server.make("b")
        server.client.patch_status(server.key("b"), ready("True", lastTransitionTime="2027-01-01T00:00:00Z"))
        server.make("c")
        server.client.patch_status(server.key("c"), ready("False", lastTransitionTime="2027-01-01T00:00:00Z"))
        for name in "abc":
            over.caught_up(name)
        mine = [row for row in rows(over.cache, over.rules, 1_800_000_000.0) if row.machine[-1] in "abc"]
        found = {row.machine: (row.state, row.step, row.ready) for row in mine[-3:]}
        assert found["Widget b"] == ("Ready", "", True)
        assert found["Widget c"] == ("Pending", "m", False)
        assert found["Widget a"] == ("Pending", "", False)
