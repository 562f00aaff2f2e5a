"""Rules that change under a running engine: the next engine of the same process works by them, and nothing is lost."""

from __future__ import annotations

import re
import shutil
import urllib.request

import pytest

from engine.base.kinds import Key, Kind
from tests.sim.cluster import BOOTSTRAP, Cluster, quickstart
from tests.sim.shipped import ROOT, free_port, shipped, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

METRIC = """
  - name: talos_operator_machines_seen
    type: gauge
    help: Number of Talos machines
    aggregate: sum
    labels: {}
    value: 1
"""
ADDON = """
apiVersion: engine/v1alpha1
kind: Reconciler
for: {group: talos.alperen.cloud, version: v1alpha1, kind: TalosClusterAddon}
conditions: [{type: Seen, is: true}]
"""
CRD = Kind(
    "apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", namespaced=False
)


@pytest.fixture
def running(tmp_path):
    """An engine over a copy of the shipped rules: its cluster, that copy, and what a probe says."""
    rules = tmp_path / "rules"
    shutil.copytree(ROOT / "rules", rules, ignore=shutil.ignore_patterns("tests"))
    metrics, health = free_port(), free_port()
    with shipped(tmp_path / "run") as run:
        run.start(
            "--simulate", "3", "--rules", str(rules), "--metrics-bind-address", f"127.0.0.1:{metrics}",
            "--health-probe-bind-address", f"127.0.0.1:{health}",
        )  # fmt: skip

        def probe(path):
            with urllib.request.urlopen(f"http://127.0.0.1:{health}/{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()

        yield Cluster(run, metrics), rules, probe


def value(cluster, family):
    try:
        found = re.search(rf"^{family} (\S+)$", cluster.metrics(), re.MULTILINE)
    except OSError:
        return None  # between two engines nobody listens for a moment
    return None if found is None else float(found[1])


def passes(cluster):
    return sum(
        float(each)
        for each in re.findall(
            r"^talos_operator_reconciliation_total\S+ (\S+)$", cluster.metrics(), re.MULTILINE
        )
    )


def test_rules_that_change_in_the_middle_of_a_bring_up_take_effect_and_nothing_is_done_twice(running):
    cluster, rules, probe = running
    cluster.apply(quickstart(3, 0))
    until(
        "a machine is being installed", lambda: any("Apply" in call["method"] for call in cluster.run.calls())
    )
    rule = rules / "talosmachine.yaml"
    good = rule.read_text()
    rule.write_text(good + METRIC)
    until("the new metric is there", lambda: value(cluster, "talos_operator_machines_seen") == 3)
    assert cluster.run.process.poll() is None
    cluster.ready(deadline_s=120)
    methods = [call["method"] for call in cluster.run.calls()]
    assert methods.count(BOOTSTRAP) == 1
    assert value(cluster, "talos_operator_rules_last_reload_successful") == 1

    rule.write_text(good + METRIC.replace("labels", "label"))
    until("the mistake is told", lambda: value(cluster, "talos_operator_rules_last_reload_successful") == 0)
    status, said = probe("readyz?verbose")
    assert status == 200
    assert re.search(r"\[!\]rules: \S+talosmachine\.yaml:\d+:\d+: ", said), said
    assert "did you mean `labels`?" in cluster.run.output.read_text()
    before = passes(cluster)
    cluster.annotate("TalosControlPlane", "quickstart", "example.org/look", "again")
    until("the former rules go on", lambda: passes(cluster) > before)
    assert value(cluster, "talos_operator_machines_seen") == 3

    rule.write_text(good)
    until("the mend is taken", lambda: value(cluster, "talos_operator_machines_seen") is None)
    until("it is told", lambda: value(cluster, "talos_operator_rules_last_reload_successful") == 1)
    cluster.ready(deadline_s=60)
    assert [call["method"] for call in cluster.run.calls()].count(BOOTSTRAP) == 1


def test_rules_that_cannot_be_started_give_way_to_the_former_ones(running):
    cluster, rules, probe = running
    cluster.client.delete(Key(CRD, "", "talosclusteraddons.talos.alperen.cloud"))
    (rules / "addon.yaml").write_text(ADDON)
    until("that is told", lambda: value(cluster, "talos_operator_rules_last_reload_successful") == 0)
    assert "could not be started: the cluster has no talosclusteraddons" in probe("readyz/rules")[1]
    cluster.apply(quickstart(3, 0))
    cluster.ready(deadline_s=120)
