"""What is shipped for a cluster, on a real API server: the manifests, the account with its roles, two engines, a life from birth to end.

One cluster after the other in the order of the tests; each leaves the API server to the next one.
"""

from __future__ import annotations

import json
import re
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kube.deployed import ACCOUNT, NAMESPACE, Deployed, deployed
from tests.sim.cluster import APPLY, BOOTSTRAP, NAME, RESET, Cluster, addresses, patched, quickstart
from tests.sim.shipped import API, QUICKSTART, ROOT, until

pytestmark = [pytest.mark.slow, pytest.mark.kube, pytest.mark.timeout(300)]

World = tuple[Deployed, Cluster]


@pytest.fixture(scope="module")
def world(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """An API server with what is shipped installed, five machines, and two engines."""
    with deployed(programs, tmp_path_factory.mktemp("kube"), machines=5) as (found, cluster):
        for _ in range(2):
            found.engine()
        found.leader()
        yield found, cluster


def test_kubectl_installs_what_is_shipped_again_without_a_warning(world: World) -> None:
    deployed, _ = world
    assert deployed.install() == ""
    told = json.loads(deployed.kubectl("get", "crd", "-o", "json"))["items"]
    ours = [each for each in told if each["spec"]["group"] == "talos.alperen.cloud"]
    assert len(ours) >= 6
    for each in ours:
        states = {item["type"]: item["status"] for item in each["status"]["conditions"]}
        assert (states["Established"], states["NamesAccepted"]) == ("True", "True")
        assert states.get("NonStructuralSchema", "False") == "False", each["metadata"]["name"]


def test_every_example_is_taken_as_it_is(world: World) -> None:
    deployed, _ = world
    for path in sorted((ROOT / "examples").rglob("*.yaml")):
        if "apiVersion: talos.alperen.cloud" in path.read_text():
            deployed.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", str(path))


def test_one_engine_works_and_both_are_ready(world: World) -> None:
    deployed, _ = world
    until("both are ready", lambda: all(engine.is_ready() for engine in deployed.engines))
    leads = [bool(engine.led_as(deployed.holder())) for engine in deployed.engines]
    assert leads.count(True) == 1


def test_a_cluster_comes_up_with_what_the_shipped_role_grants(world: World) -> None:
    deployed, cluster = world
    deployed.kubectl("apply", "-f", str(QUICKSTART))
    deployed.kubectl("wait", "--for=condition=Ready", "taloscluster", NAME, "--timeout=120s")
    cluster.ready()
    assert len(cluster.calls(BOOTSTRAP)) == 1
    assert len(cluster.calls(APPLY)) == 5
    assert deployed.refused() == []
    shown = deployed.kubectl("get", "talosmachines")
    assert len(re.findall(r"\b127\.0\.1\.\d\b.*\bAvailable\b", shown)) == 5, shown
    assert "Normal" in deployed.kubectl("describe", "taloscontrolplane", NAME)


def _writes(deployed: Deployed) -> Counter[str]:
    """Requests that write, by what they write; the election's Lease apart, and what Kubernetes writes for itself."""
    found: Counter[str] = Counter()
    text = deployed.plane.ask("/metrics").decode()
    for labels, count in re.findall(r"^apiserver_request_total\{(.*)\} (\S+)$", text, re.MULTILINE):
        label = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        ours = label["group"] == "talos.alperen.cloud" or label["resource"] in (
            "secrets",
            "configmaps",
            "events",
        )
        if ours and label["verb"] in ("POST", "PUT", "PATCH", "APPLY", "DELETE"):
            found[f"{label['verb']} {label['resource']} {label['subresource']}"] += int(float(count))
    return found


def test_a_cluster_at_rest_is_not_written_to(world: World) -> None:
    deployed, _ = world
    before, counted = -1, Counter[str]()
    while (now := _writes(deployed)).total() != before:  # the last events of the bring-up come a little later
        before, counted = now.total(), now
        time.sleep(2)
    time.sleep(10)
    assert _writes(deployed) - counted == Counter()


def test_a_change_goes_on_when_the_api_server_was_killed_meanwhile(world: World) -> None:
    deployed, cluster = world
    boots = len(cluster.calls(BOOTSTRAP))
    document = patched(quickstart(), {"machine": {"env": {"GREETING": "hello"}}})
    cluster.apply(document)
    until("the change has begun", lambda: len(cluster.calls(APPLY)) > 5)
    deployed.plane.kill_api()
    time.sleep(3)
    deployed.plane.start_api()
    until("every machine has it", lambda: len(cluster.calls(APPLY)) == 10, deadline_s=120)
    cluster.ready(deadline_s=90)
    assert Counter(cluster.calls(APPLY)) == Counter({at["address"]: 2 for at in addresses(1, 5)})
    assert len(cluster.calls(BOOTSTRAP)) == boots


def test_metrics_are_for_those_whom_kubernetes_lets_read_them(world: World) -> None:
    deployed, _ = world
    deployed.kubectl("create", "serviceaccount", "reader", "-n", NAMESPACE)
    deployed.kubectl("create", "serviceaccount", "stranger", "-n", NAMESPACE)
    who = f"{NAMESPACE}:reader"
    deployed.kubectl(
        *("create", "clusterrolebinding", "reads-metrics", f"--serviceaccount={who}"),
        *("--clusterrole", "talos-operator-metrics-reader"),
    )
    leader = deployed.leader()
    reader = deployed.token("reader")
    until("the binding counts", lambda: leader.scrape(reader)[0] == 200)
    health = re.findall(r"^talos_operator_cluster_health\{.*\} (.*)$", leader.scrape(reader)[1], re.MULTILINE)
    assert [float(value) for value in health] == [1.0]
    assert leader.scrape(deployed.token("stranger"))[0] == 403
    assert leader.scrape("no token")[0] == 401
    assert leader.scrape("")[0] == 401


def test_backups_are_made_by_a_schedule_and_go_with_it(world: World) -> None:
    deployed, _ = world
    template = {"talosControlPlaneRef": {"name": NAME}, "backupStorage": {"directory": {}}}
    document = {
        "apiVersion": API,
        "kind": "TalosEtcdBackupSchedule",
        "metadata": {"name": "often", "namespace": "default"},
        "spec": {"schedule": "@every 2s", "retention": 2, "backupTemplate": {"spec": template}},
    }
    deployed.kubectl("apply", "--validate=strict", "-f", "-", given=json.dumps(document))

    def slots() -> set[str]:
        found = json.loads(deployed.kubectl("get", "talosetcdbackups", "-o", "json"))["items"]
        return {each["metadata"]["name"] for each in found if each.get("status", {}).get("filename")}

    first = until("two were made", lambda: len(found := slots()) >= 2 and found)
    until("both made room for newer ones", lambda: len(found := slots()) >= 2 and not found & first)
    files = [path for path in deployed.backups.rglob("*.db") if path.is_file()]
    assert 2 <= len(files) <= 4, "retention, and those on their way"
    shown = deployed.kubectl("get", "talosetcdbackupschedules")
    assert re.search(r"@every 2s +\S+ +20\d\d-\d\d-\d\dT\S+Z +false", shown), shown
    deployed.kubectl("delete", "talosetcdbackupschedule", "often", "--cascade=foreground", "--timeout=60s")
    until("all are gone", lambda: deployed.kubectl("get", "talosetcdbackups", "-o", "name") == "")
    assert [path for path in deployed.backups.rglob("*") if path.is_file()] == []


def test_the_second_engine_takes_over_from_a_killed_one_and_nothing_is_done_again(world: World) -> None:
    deployed, cluster = world
    before = len(cluster.calls(BOOTSTRAP)), len(cluster.calls(APPLY))
    killed = deployed.leader()
    killed.end(signal.SIGKILL)
    began = time.monotonic()
    until("the other one leads", lambda: deployed.leader() is not killed, deadline_s=30)
    assert time.monotonic() - began < 21
    document = patched(quickstart(), {"machine": {"env": {"GREETING": "again"}}}, "worker")
    cluster.apply(document)
    until("both workers have it", lambda: len(cluster.calls(APPLY)) == before[1] + 2, deadline_s=60)
    cluster.ready()
    assert len(cluster.calls(BOOTSTRAP)) == before[0]


def test_an_engine_that_is_stopped_hands_over_within_seconds(world: World) -> None:
    deployed, _ = world
    deployed.engine()
    until("the new one waits", deployed.engines[-1].is_ready)
    former = deployed.leader()
    assert former.end(signal.SIGTERM) == 0
    began = time.monotonic()
    until("the other one leads", lambda: deployed.leader() is not former)
    assert time.monotonic() - began < 6


def test_a_deletion_in_the_foreground_wipes_the_workers_first_and_leaves_the_keys_alone(world: World) -> None:
    deployed, cluster = world
    refused = deployed.refused()  # an API server that has just started does not know its roles yet
    deployed.kubectl("delete", "taloscluster", NAME, "--cascade=foreground", "--timeout=120s")
    cluster.gone("TalosControlPlane", NAME)
    wiped = cluster.calls(RESET)
    assert sorted(wiped) == [each["address"] for each in addresses(1, 5)]
    assert set(wiped[:2]) == {"127.0.1.4", "127.0.1.5"}
    left = deployed.kubectl("get", "secrets,configmaps,leases", "-n", "default", "-o", "name").split()
    assert left == [f"secret/{NAME}-state", "configmap/kube-root-ca.crt"]  # keys are kept, as promised
    assert deployed.refused() == refused


def test_a_cluster_whose_namespace_is_deleted_is_wiped_or_says_what_is_missing_and_ends_when_told(
    world: World,
) -> None:
    deployed, cluster = world
    resets, refused = len(cluster.calls(RESET)), deployed.refused()
    machines = cluster.run.machines
    until("all are in maintenance", lambda: not any(each["configured"] for each in machines().values()))
    deployed.kubectl("create", "namespace", "team")
    document = quickstart(1, 1)
    document["metadata"]["namespace"] = "team"
    deployed.kubectl("apply", "-f", "-", given=json.dumps(document))
    deployed.kubectl("wait", "--for=condition=Ready", "taloscluster", NAME, "-n", "team", "--timeout=120s")
    # Kubernetes deletes everything in it at once, in any order: the Secret with the keys, which nothing holds up,
    # nearly always before the control plane's machine is wiped.
    deployed.kubectl("delete", "namespace", "team", "--wait=false")
    left = until("no machine waits without a word", lambda: _without_keys(deployed), deadline_s=60)
    for name in left.split():
        deployed.kubectl("annotate", name, "-n", "team", "talos.alperen.cloud/force-delete=true")
    until("the namespace is gone", lambda: _namespace(deployed, "team") is None, deadline_s=60)
    went = {at for at in ("127.0.1.4", "127.0.1.1") if f"talosmachine/{NAME}-{at}" not in left}
    assert went <= set(cluster.calls(RESET)[resets:])
    assert deployed.refused() == refused


def _without_keys(deployed: Deployed) -> str:
    """The machines that are left, once each of them says that it lacks its keys; a blank once there is none."""
    listed = json.loads(deployed.kubectl("get", "talosmachines", "-n", "team", "-o", "json"))["items"]
    said = {
        each["metadata"]["name"]: item["reason"]
        for each in listed
        for item in each.get("status", {}).get("conditions", ())
        if item["type"] == "Removable"
    }
    if all(said.get(each["metadata"]["name"]) == "KeysMissing" for each in listed):
        return " ".join(f"talosmachine/{name}" for name in said) or " "
    return ""


def _namespace(deployed: Deployed, name: str) -> Any:
    listed = json.loads(deployed.kubectl("get", "namespaces", "-o", "json"))["items"]
    return next((each for each in listed if each["metadata"]["name"] == name), None)


def test_the_account_may_do_no_more_than_its_work(world: World) -> None:
    deployed, _ = world
    who = f"--as=system:serviceaccount:{NAMESPACE}:{ACCOUNT}"
    for verb, kind in (("delete", "secrets"), ("get", "pods"), ("create", "namespaces"), ("get", "nodes")):
        deployed.kubectl("auth", "can-i", verb, kind, who, "--all-namespaces", code=1)  # it says no
