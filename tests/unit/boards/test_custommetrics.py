from __future__ import annotations

import json
import shutil

import pytest

from engine.boards.generate import custom_dashboard, shipped_rules
from engine.ruleset.errors import RuleErrors
from tests.contract.sources import ROOT

RULES = shipped_rules()


@pytest.fixture
def made(tmp_path):
    """Panels from the text of a config.yaml."""
    shutil.copytree(ROOT / "grafana" / "source", tmp_path / "grafana" / "source")
    config = tmp_path / "grafana" / "custom-metrics" / "config.yaml"
    config.parent.mkdir()

    def make(text):
        config.write_text(text, "utf-8")
        (written,) = custom_dashboard(tmp_path, RULES).values()
        return [panel for panel in json.loads(written)["panels"] if panel["type"] != "row"]

    return make


@pytest.fixture
def mistakes(made):
    def find(text):
        with pytest.raises(RuleErrors) as caught:
            made(text)
        return [(each.line, each.message, each.hint) for each in caught.value.errors]

    return find


def item(*lines):
    return "---\ncustomMetrics:\n  - " + "\n    ".join(lines) + "\n"


def test_every_item_is_one_panel(made):
    shipped = (ROOT / "grafana" / "custom-metrics" / "config.yaml").read_text("utf-8")
    before = made(shipped)
    after = made(shipped + "  - {metric: process_open_fds, type: gauge}\n")
    assert len(after) == len(before) + 1
    assert [panel["gridPos"]["w"] for panel in after] == [24] * len(after)


def test_a_counter_is_a_rate(made):
    (panel,) = made(item("metric: talos_operator_reconciliation_total", "type: counter"))
    assert panel["title"] == "talos_operator_reconciliation_total (counter)"
    assert panel["targets"][0]["expr"] == (
        'sum(rate(talos_operator_reconciliation_total{job=~"$job", instance=~"$instance"}[$__rate_interval]))'
        " by (instance, pod)"
    )


@pytest.mark.parametrize("end", ["", "_bucket"])
def test_a_histogram_is_its_ninetieth_percentile(made, end):
    (panel,) = made(item(f"metric: talos_operator_reconciliation_duration_seconds{end}", "type: Histogram"))
    assert panel["targets"][0]["expr"] == (
        "histogram_quantile(0.90, sum by(instance, le) (rate(talos_operator_reconciliation_duration_seconds_bucket"
        '{job=~"$job", instance=~"$instance"}[$__rate_interval])))'
    )


def test_a_gauge_is_itself(made):
    (panel,) = made(item("metric: talos_operator_machine_ready", "type: gauge"))
    assert panel["targets"][0]["expr"] == 'talos_operator_machine_ready{job=~"$job", instance=~"$instance"}'
    assert panel["type"] == "timeseries"


@pytest.mark.parametrize(
    ("metric", "unit"),
    [
        ("workqueue_unfinished_work_seconds", "s"),
        ("process_resident_memory_bytes", "bytes"),
        ("process_open_fds", "none"),
    ],
)
def test_the_unit_is_guessed_from_the_name(made, metric, unit):
    (panel,) = made(item(f"metric: {metric}", "type: gauge"))
    assert panel["fieldConfig"]["defaults"]["unit"] == unit


def test_a_given_unit_is_taken(made):
    (panel,) = made(item("metric: process_open_fds", "type: gauge", "unit: short"))
    assert panel["fieldConfig"]["defaults"]["unit"] == "short"


def test_what_ends_in_info_is_a_table(made):
    (panel,) = made(item("metric: python_info", "type: gauge"))
    assert panel["type"] == "table"
    assert "version" in panel["transformations"][0]["options"]["includeByName"]


@pytest.mark.parametrize(
    "line",
    [
        r"""expr: sum(talos_operator_cluster_health{job=~\"$job\", name!=\"\"})""",
        r"""expr: sum(talos_operator_cluster_health{job=~"$job", name!=""})""",
        r"""expr: 'sum(talos_operator_cluster_health{job=~\"$job\", name!=\"\"})'""",
        r'''expr: "sum(talos_operator_cluster_health{job=~\"$job\", name!=\"\"})"''',
    ],
)
def test_quotes_may_stand_as_they_are_or_as_kubebuilder_needs_them(made, line):
    (panel,) = made(item(line))
    expr = 'sum(talos_operator_cluster_health{job=~"$job", name!=""})'
    assert panel["targets"][0]["expr"] == expr
    assert panel["title"] == expr


def test_a_file_without_items_is_a_dashboard_without_panels(made):
    assert made("---\ncustomMetrics:\n#  - metric: x\n") == []


@pytest.mark.parametrize(
    ("lines", "line", "message", "hint"),
    [
        (
            ["metric: talos_operator_clusterhealth", "type: gauge"],
            3,
            "no rule declares the metric `talos_operator_clusterhealth`",
            "did you mean `talos_operator_cluster_health`?",
        ),
        (
            ["metric: talos_operator_cluster_health", "type: gage"],
            4,
            "`gage` is no type of a metric",
            "did you mean `gauge`?",
        ),
        (
            ["metric: talos_operator_cluster_health", "type: counter"],
            4,
            "`talos_operator_cluster_health` is a gauge",
            "write type: gauge",
        ),
        (
            ["metric: talos_operator_cluster_health"],
            3,
            "an item needs `expr`, or `metric` and `type`",
            "kubebuilder would drop it without a word",
        ),
        (
            ["unit: s", "expr: sum(talos_operator_cluster_health"],
            4,
            "this is no PromQL: unclosed left parenthesis",
            "",
        ),
        (
            ["expr: sum by (nam) (talos_operator_cluster_health)"],
            3,
            "`by` names the label `nam`, which what it works on does not have",
            "did you mean `name`?",
        ),
        (
            ["expr: talos_operator_cluster_health{nane='x'}"],
            3,
            "`talos_operator_cluster_health` has no label `nane`",
            "did you mean `name`?",
        ),
        (
            ["expr: nobody_tells"],
            3,
            "no rule declares the metric `nobody_tells`",
            "declare it in a file of rules/ first",
        ),
        (["metrics: x", "expr: up"], 3, "unknown key `metrics`", "did you mean `metric`?"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_what_to_do(mistakes, lines, line, message, hint):
    assert mistakes(item(*lines)) == [(line, message, hint)]


def test_all_mistakes_are_told_at_once(mistakes):
    text = item("metric: a", "type: gauge") + "  - {metric: b, type: gauge}\n  - {expr: up, type: x}\n"
    assert [line for line, _, _ in mistakes(text)] == [3, 5, 6]
