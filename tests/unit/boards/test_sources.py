from __future__ import annotations

import shutil

import pytest

from engine.boards.generate import everything, shipped_rules
from engine.ruleset.errors import RuleErrors
from tests.contract.sources import ROOT

RULES = shipped_rules()


@pytest.fixture
def project(tmp_path):
    for folder in ("grafana", "alerting"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    return tmp_path


@pytest.mark.parametrize(
    ("path", "written", "instead", "message"),
    [
        (
            "grafana/source/overview.yaml",
            "sum(talos_operator_machine_ready{",
            "sum(talos_operator_machines_ready{",
            "no rule declares the metric `talos_operator_machines_ready`",
        ),
        (
            "grafana/source/overview.yaml",
            'legend: "{{operation}}"',
            'legend: "{{operations}}"',
            "the answer has no label `operations`",
        ),
        (
            "grafana/source/overview.yaml",
            "choose: {cluster: name}",
            "choose: {cluster: nam}",
            "the answer has no label `nam`",
        ),
        ("grafana/source/overview.yaml", "type: stat", "type: stats", "must be `stat`"),
        (
            "grafana/source/overview.yaml",
            "thresholds: {0: green, 1: red}",
            "thresholds: {1: red, 0: x}",
            "ascend",
        ),
        (
            "alerting/source.yaml",
            "expr: talos_operator_cluster_health == 0",
            "expr: talos_operator_cluster_health{nam=''} == 0",
            "has no label `nam`",
        ),
        ("alerting/source.yaml", "$labels.name }}", "$labels.nam }}", "the answer has no label `nam`"),
    ],
)
def test_a_mistake_in_a_source_is_told_with_its_place(project, path, written, instead, message):
    text = (project / path).read_text("utf-8")
    assert written in text
    line = text[: text.index(written)].count("\n") + 1
    (project / path).write_text(text.replace(written, instead, 1), "utf-8")
    with pytest.raises(RuleErrors) as caught:
        everything(project, RULES)
    (found, *_) = caught.value.errors
    assert found.file.endswith(path)
    assert message in found.message
    assert found.line <= line <= found.line + 6, "a query may begin some lines above the word"


def test_nothing_is_written_while_there_is_a_mistake(project, monkeypatch, capsys):
    from engine.boards.__main__ import main

    source = project / "grafana/source/overview.yaml"
    source.write_text(source.read_text("utf-8").replace("sum(up{", "sum(upp{"), "utf-8")
    (project / "grafana/overview.json").unlink()
    monkeypatch.chdir(project)
    assert main([]) == 1
    assert "no rule declares the metric `upp`" in capsys.readouterr().err
    assert not (project / "grafana/overview.json").exists()
    assert main(["custom"]) == 0, "the custom dashboard has no part in it"
