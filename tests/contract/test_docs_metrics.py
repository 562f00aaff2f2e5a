"""docs/metrics.md says what the rules say, the document's metrics are declared, and every query shown works."""

from __future__ import annotations

import re
import runpy

import pytest
import yaml

from engine.boards.check import Checker
from engine.boards.generate import shipped_rules
from engine.boards.known import declared, known_series
from engine.ruleset.errors import Report
from tests.contract.sources import ROOT

RULES = shipped_rules()
METRICS = declared(RULES)
KNOWN = known_series(RULES)
PAGES = {path.name: path.read_text("utf-8") for path in (ROOT / "docs").glob("*.md")}
DOCUMENT = {
    # What the user's document promises: name: (type, labels).
    "talos_operator_reconciliation_total": ("counter", ["controller", "result"]),
    "talos_operator_reconciliation_duration_seconds": ("histogram", ["controller"]),
    "talos_operator_resource_status": ("gauge", ["resource_type", "namespace", "name", "status"]),
    "talos_operator_resource_total": ("gauge", ["resource_type", "namespace"]),
    "talos_operator_cluster_health": ("gauge", ["namespace", "name"]),
    "talos_operator_machine_ready": ("gauge", ["namespace", "cluster"]),
    "talos_operator_talos_api_calls_total": ("counter", ["operation", "result"]),
    "talos_operator_talos_api_call_duration_seconds": ("histogram", ["operation"]),
    "talos_operator_etcd_backup_total": ("counter", ["namespace", "name", "status"]),
    "talos_operator_etcd_backup_duration_seconds": ("histogram", ["namespace", "name"]),
    "talos_operator_etcd_backup_size_bytes": ("gauge", ["namespace", "name"]),
}
DOCUMENT_QUERIES = [
    # As the document has them, but for the first, which divides each series by itself there.
    (
        'sum by (controller) (rate(talos_operator_reconciliation_total{result="success"}[5m]))'
        " / sum by (controller) (rate(talos_operator_reconciliation_total[5m]))"
    ),
    "histogram_quantile(0.95, sum by(controller, le) (rate(talos_operator_reconciliation_duration_seconds_bucket[5m])))",
    "sum(talos_operator_cluster_health == 1)",
    'rate(talos_operator_etcd_backup_total{status="failed"}[5m])',
    "histogram_quantile(0.95, sum by(operation, le) (rate(talos_operator_talos_api_call_duration_seconds_bucket[5m])))",
]
LABELS = {label for metric in METRICS.values() for label in metric.labels}
METRIC_NAME = re.compile(
    r"`((?:talos_operator|controller_runtime|workqueue|rest_client|process|python)_\w+)`"
)


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGES[page], re.MULTILINE | re.DOTALL)


def bare(query):
    return re.sub(r"\s+", "", query)


def test_docs_metrics_is_what_the_rules_say():
    written = runpy.run_path(str(ROOT / "docs" / "write_metrics.py"))["metrics_page"]()
    assert PAGES["metrics.md"] == written, "run `make docs`"


def written(metric):
    """The expression of a metric's value as the rule has it."""
    path = ROOT / metric.position.file
    sources = yaml.safe_load(path.read_text("utf-8"))["metrics"]
    return str(next(item.get("value", "") for item in sources if item["name"] == metric.name))


@pytest.mark.parametrize("name", METRICS)
def test_a_help_text_says_the_unit_and_what_0_and_1_mean(name):
    metric = METRICS[name]
    bare = name.removesuffix("_total")
    if bare.endswith("_timestamp_seconds"):
        assert "in seconds since 1970" in metric.help
    elif bare.endswith("_seconds"):
        assert "seconds" in metric.help
    elif bare.endswith("_bytes"):
        assert "in bytes" in metric.help
    if metric.type == "gauge" and metric.aggregate is None and written(metric) == "1":
        assert "always 1" in metric.help
    if metric.aggregate is None and re.search("`[01]`, `[01]`", written(metric)):
        assert re.search(r"\b1\b.*\b0\b|\b0\b.*\b1\b", metric.help)
    assert not metric.help.endswith(".")


@pytest.mark.parametrize("name", DOCUMENT)
def test_a_metric_of_the_document_is_declared_as_it_says(name):
    kind, labels = DOCUMENT[name]
    assert (METRICS[name].type, sorted(METRICS[name].labels)) == (kind, sorted(labels))


def test_every_query_shown_parses_and_asks_for_what_is_there():
    shown = [query for page in PAGES for query in blocks(page, "promql")]
    shown += re.findall(r"\| `([^`]+)` \|$", PAGES["metrics.md"], re.MULTILINE)
    assert len(shown) >= len(METRICS) + 4
    checker = Checker(KNOWN, Report())
    for query in shown:
        (node,) = yaml_node(query)
        assert checker.query(node, query) is not None, (query, checker.report.errors)
    assert checker.report.errors == ()


def yaml_node(text):
    from engine.base.yamlnodes import ListNode, parse_document

    root = parse_document(yaml.safe_dump([text], width=1000), "docs")
    assert isinstance(root, ListNode)
    return root.items


@pytest.mark.parametrize("query", DOCUMENT_QUERIES)
def test_the_queries_of_the_document_are_shown(query):
    assert bare(query) in [bare(shown) for shown in blocks("metrics.md", "promql")]


def test_every_metric_named_in_prose_exists():
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in KNOWN} | set(KNOWN)
    added = re.findall(r"^  - name: (\w+)", PAGES["add-a-metric.md"], re.MULTILINE)
    named = {name for text in PAGES.values() for name in METRIC_NAME.findall(text)} - {*added, *LABELS}
    assert sorted(name for name in named - families if not name.endswith("_")) == []


def test_every_recording_is_explained():
    rules = yaml.safe_load((ROOT / "alerting" / "talos-operator.rules.yaml").read_text("utf-8"))
    records = [rule["record"] for group in rules["groups"] for rule in group["rules"] if "record" in rule]
    assert [name for name in records if f"`{name}`" not in PAGES["monitoring.md"]] == []


def test_the_config_shown_is_one_that_prometheus_reads():
    for block in blocks("monitoring.md", "yaml"):
        (job,) = yaml.safe_load(block)["scrape_configs"]
        assert job["honor_labels"] is True
        assert "talos-operator" in job["job_name"]
