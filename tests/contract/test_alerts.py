"""The alerts: those that are promised, each with what a tired person needs, each tested, in two forms of one source."""

from __future__ import annotations

import re

import pytest
import yaml

from tests.contract.sources import ROOT

FOLDER = ROOT / "alerting"
PLAIN = yaml.safe_load((FOLDER / "talos-operator.rules.yaml").read_text("utf-8"))
MANIFEST = yaml.safe_load((FOLDER / "prometheusrule.yaml").read_text("utf-8"))
RULES = [rule for group in PLAIN["groups"] for rule in group["rules"]]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
RUNBOOKS = {path.stem: path for path in (FOLDER / "runbooks").glob("*.md")}
DOCUMENTED = {
    # alert: (the query of the document, for, severity)
    "TalosOperatorHighReconciliationFailures": (
        'rate(talos_operator_reconciliation_total{result="error"}[5m]) > 0.1',
        "5m",
        "warning",
    ),
    "TalosOperatorEtcdBackupFailed": (
        'increase(talos_operator_etcd_backup_total{status="failed"}[5m]) > 0',
        "1m",
        "critical",
    ),
    "TalosOperatorClusterUnhealthy": (
        "talos_operator_cluster_health == 0",
        "10m",
        "warning",
    ),
}
"""The three of the user's document."""


@pytest.mark.parametrize("name", DOCUMENTED)
def test_the_alerts_of_the_document_are_there_as_it_says(name):
    expr, lasting, severity = DOCUMENTED[name]
    found = ALERTS[name]
    assert (found["expr"], found["for"], found["labels"]["severity"]) == (expr, lasting, severity)


def test_both_forms_say_the_same():
    assert MANIFEST["spec"] == PLAIN
    assert (MANIFEST["apiVersion"], MANIFEST["kind"]) == ("monitoring.coreos.com/v1", "PrometheusRule")


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_tells_what_is_wrong_and_where_to_read_on(name):
    alert = ALERTS[name]
    texts = alert["annotations"]
    assert set(texts) == {"summary", "description", "runbook_url"}
    assert alert["labels"]["severity"] in {"critical", "warning", "info"}
    assert re.fullmatch(r"\d+[smh]", alert["for"])
    assert len(texts["summary"]) < 120 < 20 + len(texts["description"])
    assert texts["runbook_url"].endswith(f"/{name}.md")


def test_every_alert_has_its_runbook_and_every_runbook_its_alert():
    assert set(RUNBOOKS) == set(ALERTS)


@pytest.mark.parametrize("name", sorted(RUNBOOKS))
def test_a_runbook_can_be_followed(name):
    text = RUNBOOKS[name].read_text("utf-8")
    heads = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    assert heads == [name, "How urgent", "Look", "Do"]
    commands = re.findall(r"^\$ (.+)$", text, re.MULTILINE)
    assert 1 <= len(commands) <= 4
    rows = re.findall(r"^\| (\d) \| (.+) \|$", text, re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, len(commands) + 1))
    assert len(text.splitlines()) < 60
    links = re.findall(r"\]\(([^)#]+)(?:#([^)]*))?\)", text)
    for path, anchor in links:
        page = RUNBOOKS[name].parent / path
        assert page.exists(), path
        if anchor:
            titles = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_is_shown_to_fire_and_to_stay_silent(name):
    shown = [
        bool(check["exp_samples"])
        for path in (FOLDER / "tests").glob("*.test.yaml")
        for case in yaml.safe_load(path.read_text("utf-8"))["tests"]
        for check in case.get("promql_expr_test", ())
        if check["expr"] == f'ALERTS{{alertname="{name}", alertstate="firing"}}'
    ]
    assert {True, False} <= set(shown)


def test_every_recording_is_tested():
    texts = "".join(path.read_text("utf-8") for path in (FOLDER / "tests").glob("*.test.yaml"))
    assert [
        rule["record"] for rule in RULES if rule.get("record", "x") not in texts and "record" in rule
    ] == []
