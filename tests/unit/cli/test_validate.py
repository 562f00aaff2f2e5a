"""`validate`: every mistake with its place, for people and for programs."""

from __future__ import annotations

import json

import pytest

RULE = """\
apiVersion: engine/v1alpha1
kind: Reconciler
for: {group: talos.alperen.cloud, version: v1alpha1, kind: TalosMachine}
on: {every: 60s}
observe:
  parent: {kube: {get: TalosControlPlane, name: "${self.spec.controlPlaneRef.name}"}}
conditions:
  - type: ParentFound
    unless:
      - {when: "${obs.parrent == `null`}", reason: NoParent, message: there is none}
"""


@pytest.fixture
def broken(tmp_path):
    path = tmp_path / "broken.yaml"
    path.write_text(RULE, "utf-8")
    return path


@pytest.fixture
def sound(tmp_path):
    path = tmp_path / "sound.yaml"
    path.write_text(RULE.replace("parrent", "parent"), "utf-8")
    return path


def test_the_shipped_rules_have_no_mistakes(command):
    shown = command("validate")
    assert shown.returncode == 0, shown.stderr
    assert "TalosMachine" in shown.stdout


def test_a_sound_rule_is_told_by_its_kind(command, sound):
    shown = command("validate", sound)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith("no mistakes in rules for TalosMachine")


def test_a_mistake_is_shown_at_its_place_with_a_caret_and_a_suggestion(command, broken):
    shown = command("validate", broken)
    assert shown.returncode == 1
    assert shown.stdout == ""
    assert shown.stderr.startswith("error: ")
    assert "broken.yaml:10:" in shown.stderr
    assert "${obs.parrent == `null`}" in shown.stderr
    mistake = next(each for each in shown.stderr.split("\n\n") if "broken.yaml:10:" in each).splitlines()
    caret = next(number for number, line in enumerate(mistake) if line.strip().startswith("^"))
    assert mistake[caret - 1][mistake[caret].index("^") :].startswith("obs.parrent")
    assert mistake[-1].startswith("  hint: ")
    assert "`parent`" in mistake[-1]
    assert shown.stderr.splitlines()[-1].endswith("in 1 file")


def test_programs_get_the_same_as_json(command, broken):
    shown = command("validate", "-o", "json", broken)
    assert shown.returncode == 1
    errors = json.loads(shown.stdout)["errors"]
    assert [set(error) for error in errors] == [{"file", "line", "column", "code", "message", "hint"}] * len(
        errors
    )
    (mistake,) = (error for error in errors if error["line"] == 10)
    assert RULE.splitlines()[9][mistake["column"] - 1 :].startswith("obs.parrent")


def test_json_without_a_mistake_is_an_empty_list(command, sound):
    shown = command("validate", "-o", "json", sound)
    assert (shown.returncode, json.loads(shown.stdout)) == (0, {"errors": []})


def test_a_path_that_is_not_there_is_not_understood(command, tmp_path):
    shown = command("validate", tmp_path / "none.yaml")
    assert shown.returncode == 2
    assert "none.yaml" in shown.stderr


def test_a_file_that_is_no_text_is_a_mistake_and_not_a_crash(command, tmp_path):
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    shown = command("validate", tmp_path / "bytes.yaml")
    assert shown.returncode == 1
    assert shown.stderr.startswith("error: ")
    assert "Traceback" not in shown.stderr
