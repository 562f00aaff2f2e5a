"""What the loader makes of good rules: the model, the kinds, the fields that are read."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from engine.base.assets import asset
from engine.capabilities.contract import Capability
from engine.ruleset.catalog import Catalog, load_catalog
from engine.ruleset.errors import RuleErrors
from engine.ruleset.load import load_rules
from engine.ruleset.model import CallStep, ChildrenStep, Rule, RuleSet, TalosRead

GOOD = Path(__file__).resolve().parents[2] / "golden" / "good-rules"
HEAD = """apiVersion: engine/v1alpha1
kind: Reconciler
for: {group: talos.alperen.cloud, version: v1alpha1, kind: TalosMachine}
"""


@cache
def catalog() -> Catalog:
    return load_catalog(asset("schemas"))


@cache
def shipped() -> RuleSet:
    return load_rules([asset("rules")], catalog())


def rule(name: str) -> Rule:
    return next(item for kind, item in shipped().rules.items() if kind.name == name)


def load(tmp_path: Path, text: str, known: Catalog | None = None) -> RuleSet:
    (tmp_path / "rule.yaml").write_text(HEAD + text, "utf-8")
    return load_rules([tmp_path / "rule.yaml"], known or catalog())


def codes(tmp_path: Path, text: str, known: Catalog | None = None) -> list[str]:
    with pytest.raises(RuleErrors) as caught:
        load(tmp_path, text, known)
    return [error.code for error in caught.value.errors]


def test_the_shipped_rules_have_no_mistake() -> None:
    assert len(shipped().rules) >= 4
    assert shipped().engine_metrics


def test_the_kinds_that_rules_read_or_write_are_told_so_that_they_are_watched() -> None:
    names = {kind.name for kind in shipped().kinds}
    assert {"TalosMachine", "Secret", "ConfigMap"} <= names
    assert {kind.name for kind in shipped().on_demand} == {"Secret", "ConfigMap"}


def test_operations_are_service_and_method() -> None:
    assert "MachineService/Bootstrap" in shipped().operations


def test_a_part_brings_its_mode_its_finalizer_its_conditions_and_its_metrics() -> None:
    machine = rule("TalosMachine")
    assert machine.mode is not None
    assert machine.finalize is not None
    assert "Deleting" in {condition.type for condition in machine.conditions}
    assert "talos_operator_resource_status" in {metric.name for metric in machine.metrics}


def test_steps_keep_the_order_of_the_file() -> None:
    ids = [step.id for step in rule("TalosControlPlane").act]
    assert ids.index("pki") < ids.index("bootstrap")
    assert any(isinstance(step.body, ChildrenStep) for step in rule("TalosControlPlane").act)
    assert any(isinstance(step.body, CallStep) for step in rule("TalosMachine").act)


def write_in_chapters(tmp_path: Path, *, listed: str = "first, second") -> Path:
    """A rule of two chapters, whose names are not in the order of the alphabet."""
    (tmp_path / "rule").mkdir()
    rule = HEAD + f"chapters: [{listed}]\nlet: {{name: x}}\n" + _note("zero")
    (tmp_path / "rule.yaml").write_text(rule, "utf-8")
    head = "apiVersion: engine/v1alpha1\nkind: Chapter\nof: TalosMachine\n"
    for name in ("second", "first"):
        (tmp_path / "rule" / f"{name}.yaml").write_text(head + _note(name), "utf-8")
    return tmp_path / "rule.yaml"


def _note(name: str) -> str:
    return f"act:\n  - id: {name}\n    kube: {{apply: ConfigMap, name: '{name}-${{let.name}}', data: {{a: b}}}}\n"


@pytest.mark.parametrize("listed", ["first, second", "second, first"])
def test_the_steps_of_chapters_follow_those_of_their_rule_in_the_order_of_the_list(
    listed: str, tmp_path: Path
) -> None:
    loaded = load_rules([write_in_chapters(tmp_path, listed=listed)], catalog())
    (found,) = loaded.rules.values()
    assert [step.id for step in found.act] == ["zero", *listed.split(", ")]


def test_a_change_of_a_chapter_is_another_rule(tmp_path: Path) -> None:
    path = write_in_chapters(tmp_path)
    before = load_rules([path], catalog()).digest
    chapter = tmp_path / "rule" / "second.yaml"
    chapter.write_text(chapter.read_text("utf-8").replace("a: b", "a: c"), "utf-8")
    assert load_rules([path], catalog()).digest != before


def test_a_chapter_is_checked_with_its_rule_not_alone(tmp_path: Path) -> None:
    path = write_in_chapters(tmp_path)
    chapter = tmp_path / "rule" / "first.yaml"
    load_rules([path, chapter], catalog())
    with pytest.raises(RuleErrors) as caught:
        load_rules([chapter], catalog())
    (error,) = caught.value.errors
    assert (error.code, error.file, error.line) == ("loose-chapter", str(chapter), 3)
    assert error.hint == f"give {path}: its chapters come with it"


def test_a_chapter_whose_rule_is_missing_is_a_mistake_and_other_files_below_are_nobodys(
    tmp_path: Path,
) -> None:
    write_in_chapters(tmp_path)
    load_rules([tmp_path], catalog())
    for folder in ("gone", ".hidden"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "first.yaml").write_bytes((tmp_path / "rule" / "first.yaml").read_bytes())
        (tmp_path / folder / "notes.yaml").write_text("any: thing\n", "utf-8")
    with pytest.raises(RuleErrors) as caught:
        load_rules([tmp_path], catalog())
    (error,) = caught.value.errors
    assert (error.code, error.file) == ("loose-chapter", str(tmp_path / "gone" / "first.yaml"))
    assert error.hint == f"its rule would be {tmp_path / 'gone.yaml'}"


def test_of_a_reply_only_the_fields_that_the_rule_reads_are_asked_for() -> None:
    services = next(item for item in rule("TalosMachine").observe if item.name == "services")
    assert isinstance(services.source, TalosRead)
    assert services.source.fields == {"messages": {"services": {"id": None, "state": None}}}


def test_a_new_kind_is_one_file() -> None:
    loaded = load_rules([asset("rules"), GOOD], catalog())
    new = next(item for kind, item in loaded.rules.items() if kind.name == "TalosImagePrePull")
    assert new.crd is not None
    version = new.crd["spec"]["versions"][0]
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    assert spec["required"] == ["image"]
    assert spec["properties"]["role"] == {
        "type": "string",
        "enum": ["controlplane", "worker", "any"],
        "default": "any",
    }
    assert spec["properties"]["parallel"] == {"type": "integer", "default": 2}
    assert new.kind.plural == "talosimageprepulls"


def test_two_rules_for_one_kind_are_a_mistake(tmp_path: Path) -> None:
    text = HEAD + "status: {state: Pending}\n"
    for name in ("one.yaml", "two.yaml"):
        (tmp_path / name).write_text(text, "utf-8")
    with pytest.raises(RuleErrors) as caught:
        load_rules([tmp_path], catalog())
    assert [error.code for error in caught.value.errors] == ["defined-twice"]


def test_one_metric_name_has_one_meaning_in_all_files(tmp_path: Path) -> None:
    metric = "metrics:\n  - {name: up, type: gauge, help: %s, value: 1}\n"
    (tmp_path / "one.yaml").write_text(HEAD + metric % "Up", "utf-8")
    other = HEAD.replace("TalosMachine", "TalosWorker")
    (tmp_path / "two.yaml").write_text(other + metric % "Down", "utf-8")
    with pytest.raises(RuleErrors) as caught:
        load_rules([tmp_path], catalog())
    assert [(error.code, error.line) for error in caught.value.errors] == [("metric-differs", 5)]


def test_a_test_for_null_counts_where_it_surely_held(tmp_path: Path) -> None:
    text = """conditions:
  - type: Parent
    unless:
      - {when: "${self.status.observedVersion == `null`}", reason: Silent}
      - {when: "${self.metadata.name == 'x'}", reason: Odd, message: "runs ${self.status.observedVersion}"}
"""
    load(tmp_path, text)
    assert codes(tmp_path, text.replace("== `null`", "!= `null`")) == ["null-in-text"]


def test_a_capability_may_not_have_a_word_for_silence(tmp_path: Path) -> None:
    output = {"type": "object", "properties": {"stage": {"enum": ["ready", "unreachable"], "type": "string"}}}
    lying = Capability(name="talos.guess", summary="", effect="read", input={"type": "object"}, output=output)
    known = replace(catalog(), capabilities={**catalog().capabilities, lying.name: lying})
    text = "observe: {guess: {call: talos.guess}}\nconditions:\n  - {type: Up, is: \"${obs.guess.stage == 'ready'}\"}\n"
    assert codes(tmp_path, text, known) == ["no-answer-value"]


def test_the_key_of_once_never_depends_on_time(tmp_path: Path) -> None:
    text = """connect: {endpoint: "${self.spec.endpoint}"}
observe: {user: {kube: {get: ConfigMap, name: user}}}
act:
  - id: reset
    when: ${obs.user != `null`}
    talos: machine.MachineService/Reset
    hazard: irreversible
    once: {key: "reset-${now}"}
"""
    assert codes(tmp_path, text) == ["once-key"]


def test_an_unreadable_file_is_a_mistake_like_any_other(tmp_path: Path) -> None:
    (tmp_path / "rule.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(RuleErrors) as caught:
        load_rules([tmp_path / "rule.yaml"], catalog())
    assert [error.code for error in caught.value.errors] == ["unreadable"]


def test_loading_imports_no_client_library() -> None:
    program = (
        "import sys; from engine.base.assets import asset; from engine.ruleset.catalog import load_catalog;"
        "from engine.ruleset.load import load_rules; load_rules([asset('rules')], load_catalog(asset('schemas')));"
        "print(sorted({'grpc', 'pykube', 'cryptography', 'prometheus_client', 'requests', 'aiohttp'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"
