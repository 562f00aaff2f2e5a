"""Objects on their own, their machines in maintenance mode: what is done for them, and what is not.

Every test has machines of its own out of the nine that one run simulates.
"""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Iterator
from typing import Any

import pytest

from engine.base.kinds import Key
from engine.machineconfig.secretsbundle import generate
from tests.sim.cluster import APPLY, MODE, Cluster, started
from tests.sim.shipped import API, until

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with started(tmp_path_factory.mktemp("sim") / "run", machines=9) as found:
        yield found


def control_plane(name: str, *machines: dict[str, Any], mode: str = "", **spec: Any) -> dict[str, Any]:
    """A TalosControlPlane of these machines."""
    return {
        "apiVersion": API,
        "kind": "TalosControlPlane",
        "metadata": {"name": name, "annotations": {MODE: mode} if mode else {}},
        "spec": {
            "version": "v1.13.0",
            "kubeVersion": "v1.35.0",
            "mode": "metal",
            "metalSpec": {"machines": list(machines)},
            **spec,
        },
    }


def at(address: str) -> dict[str, Any]:
    """A machine of this address."""
    return {"address": address}


def _config_map(cluster: Cluster, name: str, **data: str) -> None:
    cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})


def _event(cluster: Cluster, name: str, reason: str) -> list[str]:
    return [
        event["note"]
        for event in cluster.events()
        if event["regarding"]["name"] == name and event["reason"] == reason
    ]


def test_a_dry_run_tells_what_would_be_done_and_does_nothing(cluster: Cluster) -> None:
    cluster.apply(control_plane("trial", at("127.0.1.1"), mode="DryRun"))
    told = until("an event tells of it", lambda: _event(cluster, "trial", "DryRun"))
    assert any("trial-state" in note for note in told), told
    live = cluster.get("TalosControlPlane", "trial")
    assert "finalizers" not in live["metadata"]
    assert "status" not in live
    assert cluster.find("Secret", "trial-state", "v1") is None
    assert not [name for name in cluster.names("TalosMachine") if name.startswith("trial")]
    assert not [call for call in cluster.run.calls() if call["machine"] == "127.0.1.1"]
    cluster.annotate("TalosControlPlane", "trial", MODE, None)
    until("its machine is configured", lambda: "127.0.1.1" in cluster.calls(APPLY), deadline_s=20)


def test_a_disabled_object_is_left_alone_until_it_is_enabled(cluster: Cluster) -> None:
    cluster.apply(control_plane("asleep", at("127.0.1.2"), mode="disable"))
    cluster.apply(control_plane("awake", at("127.0.1.3")))
    until("the other one is worked on", lambda: "127.0.1.3" in cluster.calls(APPLY), deadline_s=20)
    live = cluster.get("TalosControlPlane", "asleep")
    assert "finalizers" not in live["metadata"]
    assert "status" not in live
    assert cluster.find("Secret", "asleep-state", "v1") is None
    assert not [event for event in cluster.events() if event["regarding"]["name"] == "asleep"]
    cluster.annotate("TalosControlPlane", "asleep", MODE, None)
    until("it is worked on at once", lambda: "127.0.1.2" in cluster.calls(APPLY), deadline_s=20)


def test_a_configuration_that_is_named_and_absent_blocks_and_costs_no_new_pki(cluster: Cluster) -> None:
    reference = {"name": "not-there", "key": "controlplane.yaml"}
    cluster.apply(control_plane("named", at("127.0.1.4"), configRef=reference))
    told = cluster.says("TalosControlPlane", "named", "PkiReady", "ConfigRefNotFound")
    assert "not-there" in told["message"]
    assert cluster.find("Secret", "named-state", "v1") is None
    assert "named-127.0.1.4" not in cluster.names("TalosMachine")
    _config_map(cluster, "not-there", **{"controlplane.yaml": "machine: {type: controlplane}"})
    told = cluster.says("TalosControlPlane", "named", "PkiReady", "PkiUnusable")
    assert "no new secrets are made" in told["message"]
    assert cluster.find("Secret", "named-state", "v1") is None


def test_a_machine_is_found_in_any_object_and_one_that_is_not_found_stops_no_other(cluster: Cluster) -> None:
    found, later = (
        {"machineRef": {"apiVersion": "v1", "kind": "ConfigMap", "name": name, "fieldPath": ".data.ip"}}
        for name in ("rack-1", "rack-2")
    )
    _config_map(cluster, "rack-1", ip="127.0.1.5")
    cluster.apply(control_plane("racked", found, later))
    told = cluster.says("TalosControlPlane", "racked", "MachinesResolved", "MachineRefUnresolved")
    assert "rack-2" in told["message"]
    until("the first is configured", lambda: "127.0.1.5" in cluster.calls(APPLY), deadline_s=20)
    # Nobody knows whether the machine of 127.0.1.5 is what rack-2 stands for: it stays.
    cluster.apply(control_plane("racked", later))
    until(
        "the change is seen",
        lambda: (
            cluster.get("TalosControlPlane", "racked")["status"].get("observedGeneration")
            == cluster.get("TalosControlPlane", "racked")["metadata"]["generation"]
        ),
    )
    machine = cluster.get("TalosMachine", "racked-127.0.1.5")
    assert "deletionTimestamp" not in machine["metadata"]
    _config_map(cluster, "rack-2", ip="127.0.1.5")
    until(
        "the reference leads somewhere",
        lambda: cluster.condition("TalosControlPlane", "racked", "MachinesResolved").get("status") == "True",
    )
    assert cluster.get("TalosMachine", "racked-127.0.1.5")["metadata"]["uid"] == machine["metadata"]["uid"]


def test_a_patch_that_talos_refuses_is_named_and_nothing_is_applied(cluster: Cluster) -> None:
    patches = [{"machine": {"sysctls": {"a": "b"}}}, {"machine": {"sysctl": {"a": "b"}}}]
    cluster.apply(control_plane("wrong", {**at("127.0.1.6"), "configPatches": patches}))
    told = cluster.says("TalosMachine", "wrong-127.0.1.6", "ConfigValid", "ConfigGenerationFailed")
    assert "configPatches[1]" in told["message"], told
    assert "machine.sysctl" in told["message"], told
    until(
        "an event tells of it",
        lambda: _event(cluster, "wrong-127.0.1.6", "ConfigGenerationFailed"),
        deadline_s=5,
    )
    cut_off = {"machine": {"token": {"$patch": "delete"}}}
    cluster.apply(control_plane("wrong", {**at("127.0.1.6"), "configPatches": [patches[0], cut_off]}))
    until(
        "a patch that would lock the operator out is named as well",
        lambda: (
            "configPatches[1]: machine.token: must not be removed"
            in cluster.condition("TalosMachine", "wrong-127.0.1.6", "ConfigValid")["message"]
        ),
        deadline_s=20,
    )
    assert "127.0.1.6" not in cluster.calls(APPLY, ok=False)
    right = control_plane("wrong", {**at("127.0.1.6"), "configPatches": patches[:1]})
    cluster.apply(right)
    until("the corrected one is applied", lambda: "127.0.1.6" in cluster.calls(APPLY), deadline_s=20)


def test_the_pki_that_an_older_operator_kept_in_a_status_is_kept_and_leaves_the_status(
    cluster: Cluster,
) -> None:
    bundle = generate(time.time(), secrets.token_bytes).text()
    cluster.apply(control_plane("older", at("127.0.1.7"), mode="disable"))
    key = Key(cluster.client.kind_named(API, "TalosControlPlane"), "default", "older")
    bundle_config = {"clusterName": "older", "endpoint": "https://older:6443", "version": "v1.13.0"}
    kept = {
        "state": "Ready",
        "secretBundle": bundle,
        "bundleConfig": json.dumps(bundle_config),
        "config": "machine: {}",
        "observedKubeVersion": "v1.35.0",
    }
    cluster.client.patch_status(key, {"status": kept})
    cluster.annotate("TalosControlPlane", "older", MODE, None)
    until(
        "the status is emptied",
        lambda: not {"secretBundle", "config"} & cluster.get("TalosControlPlane", "older")["status"].keys(),
    )
    assert cluster.secret("older-state")["secretBundle"] == bundle


def test_a_cluster_whose_pki_is_lost_waits_for_a_person(cluster: Cluster) -> None:
    cluster.apply(control_plane("lost", at("127.0.1.8"), mode="disable"))
    key = Key(cluster.client.kind_named(API, "TalosControlPlane"), "default", "lost")
    cluster.client.patch_status(key, {"status": {"bundleConfig": "{}"}})
    cluster.annotate("TalosControlPlane", "lost", MODE, None)
    told = cluster.says("TalosControlPlane", "lost", "PkiReady", "SecretBundleNotFound")
    assert "lost-state" in told["message"]
    assert cluster.find("Secret", "lost-state", "v1") is None


def _state_secret(cluster: Cluster, name: str, **texts: str) -> None:
    labels = {"talos.alperen.cloud/type": "state"}
    data = {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}
    metadata = {"name": f"{name}-state", "labels": labels}
    cluster.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})


def test_a_state_secret_that_cannot_be_used_costs_no_new_pki_and_is_kept(cluster: Cluster) -> None:
    _state_secret(
        cluster, "spoilt", secretBundle="cluster: {id: a}", bundleConfig="{}", config="", state="Ready"
    )
    cluster.apply(control_plane("spoilt", at("127.0.1.8")))
    told = cluster.says("TalosControlPlane", "spoilt", "PkiReady", "StateSecretUnusable")
    assert "spoilt-state" in told["message"]
    assert cluster.secret("spoilt-state")["secretBundle"] == "cluster: {id: a}"
    assert not [name for name in cluster.names("TalosMachine") if name.startswith("spoilt")]


def test_a_control_plane_made_anew_gets_its_keys_and_its_kubernetes_version_back(cluster: Cluster) -> None:
    bundle = generate(time.time(), secrets.token_bytes).text()
    kept = {"bundleConfig": '{"clusterName": "back"}', "config": "", "state": "Ready"}
    _state_secret(cluster, "back", secretBundle=bundle, observedKubeVersion="v1.34.1", **kept)
    cluster.apply(control_plane("back", at("127.0.1.8")))
    until("an event tells of it", lambda: _event(cluster, "back", "StatusRestored"))
    status = cluster.get("TalosControlPlane", "back")["status"]
    assert status["observedKubeVersion"] == "v1.34.1"
    assert json.loads(status["bundleConfig"])["kubeVersion"] == "v1.34.1"
    assert cluster.secret("back-state")["secretBundle"] == bundle


def test_a_machine_without_a_parent_is_left_alone(cluster: Cluster) -> None:
    alone = {"endpoint": "127.0.1.9", "version": "v1.13.0"}
    cluster.apply({"apiVersion": API, "kind": "TalosMachine", "metadata": {"name": "alone"}, "spec": alone})
    cluster.says("TalosMachine", "alone", "ParentFound", "NoParent")
    assert not [call for call in cluster.run.calls() if call["machine"] == "127.0.1.9"]
    cluster.delete("TalosMachine", "alone")
    cluster.gone("TalosMachine", "alone")


def test_a_control_plane_in_the_cloud_gets_its_finalizer_and_nothing_else(cluster: Cluster) -> None:
    document = control_plane("cloudy")
    document["spec"] |= {"mode": "cloud"}
    del document["spec"]["metalSpec"]
    cluster.apply(document)
    until(
        "it has its finalizer",
        lambda: cluster.get("TalosControlPlane", "cloudy")["metadata"].get("finalizers"),
    )
    assert cluster.find("Secret", "cloudy-state", "v1") is None
    cluster.delete("TalosControlPlane", "cloudy")
    cluster.gone("TalosControlPlane", "cloudy")
