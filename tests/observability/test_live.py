"""Engine, simulated machines and a real Prometheus: every panel and every alert has something to say, in both layouts.

The alerts' `for` is shortened to seconds; their queries are those that are shipped.
"""

from __future__ import annotations

import json
import re
import subprocess
import urllib.request

import pytest
import yaml
from prometheus_client.openmetrics import parser as strict
from prometheus_client.parser import text_string_to_metric_families

from tests.contract.sources import ROOT
from tests.observability.programs import program
from tests.observability.prometheus import HONORED, OVERRIDDEN, SCHEDULE, has_data, scraping
from tests.sim.cluster import Cluster, quickstart
from tests.sim.shipped import free_port, shipped, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

BOARDS = {
    path.name: json.loads(path.read_text("utf-8")) for path in sorted((ROOT / "grafana").rglob("*.json"))
}
PANELS = {
    f"{name}: {panel['title']}": [target["expr"] for target in panel["targets"]]
    for name, board in BOARDS.items()
    for panel in board["panels"]
    if panel["type"] != "row"
}
CHOICES = {
    f"{name}: {each['name']}": each["query"]["query"]
    for name, board in BOARDS.items()
    for each in board["templating"]["list"]
    if each["type"] == "query"
}
RULES = ROOT / "alerting" / "talos-operator.rules.yaml"
NAMES = [
    rule.get("alert") or rule["record"]
    for group in yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    for rule in group["rules"]
]
JOBS = [HONORED, OVERRIDDEN]
FOR_S = 3
NOTICED_S = 150
"""A Ready machine is looked at once a minute, and then its control plane."""


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    """A cluster that is Ready, and a Prometheus that has watched it from the beginning."""
    folder = tmp_path_factory.mktemp("live")
    program("prometheus")
    rules = yaml.safe_load(RULES.read_text("utf-8"))
    for group in rules["groups"]:
        for rule in group["rules"]:
            if "for" in rule:
                rule["for"] = f"{FOR_S}s"
    (folder / "rules.yaml").write_text(yaml.safe_dump(rules), "utf-8")
    port = free_port()
    with shipped(folder / "run") as run:
        (folder / "backups").mkdir()
        backups = ("--backup-directory", str(folder / "backups"))
        run.start("--simulate", "4", "--metrics-bind-address", f"127.0.0.1:{port}", *backups)
        until("the machines are there", (folder / "run" / "machines" / "ready.json").exists)
        with scraping(folder / "prometheus", port, folder / "rules.yaml") as prometheus:
            cluster = Cluster(run, port)
            cluster.apply(quickstart(3, 1))
            cluster.ready(deadline_s=120)
            cluster.apply(SCHEDULE)
            healthy = "sum(talos_operator_cluster_health) == 2"
            until("both jobs tell of a healthy cluster", lambda: prometheus.query(healthy), deadline_s=30)
            backups = 'sum(talos_operator_etcd_backup_total{status="success"}) >= 4'
            until("both jobs tell of two backups", lambda: prometheus.query(backups), deadline_s=60)
            yield cluster, prometheus


def chosen(expr, job):
    """A query with what is chosen at the top when a dashboard is opened, but for the job."""
    for name, value in (("__rate_interval", "2m"), ("job", job), ("instance", ".+")):
        expr = expr.replace(f"${name}", value)
    return re.sub(r"\$(cluster|namespace|pod)\b", ".*", expr)


@pytest.mark.parametrize("job", JOBS)
@pytest.mark.parametrize("title", PANELS)
def test_a_panel_has_data(live, title, job):
    _, prometheus = live
    for expr in PANELS[title]:
        assert has_data(prometheus.query(chosen(expr, job))), chosen(expr, job)


@pytest.mark.parametrize("job", JOBS)
@pytest.mark.parametrize("title", CHOICES)
def test_a_choice_at_the_top_has_values(live, title, job):
    _, prometheus = live
    inside = re.fullmatch(r"label_values\((.+), (\w+)\)", CHOICES[title])
    assert inside is not None
    found = prometheus.ask("series", **{"match[]": chosen(inside[1], job)})
    assert {each.get(inside[2]) for each in found} - {None, ""}


def test_the_label_namespace_is_that_of_the_object_or_of_the_operator(live):
    _, prometheus = live
    labels = {
        each["metric"]["job"]: each["metric"] for each in prometheus.query("talos_operator_cluster_health")
    }
    assert labels[HONORED]["namespace"] == "default"
    assert labels[OVERRIDDEN]["exported_namespace"] == "default"
    assert labels[OVERRIDDEN]["namespace"] == "talos-operator-system"


def test_prometheus_evaluates_every_rule_and_no_alert_fires_at_rest(live):
    _, prometheus = live

    def evaluated():
        rules = [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]
        return rules if all(rule["health"] == "ok" for rule in rules) else []

    rules = until("every rule is evaluated without a mistake", evaluated, deadline_s=30)
    assert sorted(rule["name"] for rule in rules) == sorted(NAMES)
    at_rest = {
        "TalosOperatorAbsent",
        "TalosOperatorClusterCertificateExpires",
        "TalosOperatorPassHangs",
        "TalosOperatorPassesEndWithBugs",
        "TalosOperatorSamplesDropped",
        "TalosOperatorWatchStale",
    }
    firing = {rule["name"] for rule in rules if rule["type"] == "alerting" and rule["state"] == "firing"}
    assert firing & at_rest == set()


@pytest.mark.parametrize("name", [name for name in NAMES if ":" in name])
def test_a_recording_has_data(live, name):
    _, prometheus = live
    assert has_data(prometheus.query(name))


def test_what_promtool_finds_wrong_with_the_metrics_is_what_is_documented(live):
    cluster, _ = live
    done = subprocess.run(
        [program("promtool"), "check", "metrics"],
        input=cluster.metrics(),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    assert [line for line in said if not line.startswith("talos_operator_resource_total ")] == []


def test_openmetrics_has_the_same_families_and_ends_as_it_should(live):
    cluster, _ = live
    request = urllib.request.Request(cluster.address, headers={"Accept": "application/openmetrics-text"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
        families = strict.text_string_to_metric_families(answer.read().decode())
        told = {family.name for family in families}
    text = text_string_to_metric_families(cluster.metrics())
    assert told == {family.name for family in text}


def test_a_machine_without_power_makes_its_cluster_unhealthy_and_fires_the_alerts(live):
    cluster, prometheus = live
    told = {
        "TalosOperatorClusterUnhealthy": "quickstart",
        "TalosOperatorMachineNotReady": "quickstart-127.0.1.1",
    }

    def firing():
        found = prometheus.query(f'ALERTS{{alertname=~"{"|".join(told)}", alertstate="firing"}}')
        return {each["metric"]["alertname"]: each["metric"]["name"] for each in found}

    until("the bring-up is forgotten", lambda: firing() == {}, deadline_s=30)
    cluster.run.control(op="power-off", machine="127.0.1.1")
    until("both alerts fire, for what is concerned", lambda: firing() == told, deadline_s=NOTICED_S)
    cluster.run.control(op="power-on", machine="127.0.1.1")
    until("they are silent again", lambda: firing() == {}, deadline_s=NOTICED_S)
