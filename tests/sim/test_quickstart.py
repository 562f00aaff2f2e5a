"""A day with the example cluster: what it leaves in the API, and what edits of it do to the machines."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from engine.machineconfig.certificates import facts, signed_by
from engine.machineconfig.diff import text_paths
from engine.machineconfig.identity import read_credentials
from engine.machineconfig.installdisk import keeping_disk
from engine.machineconfig.secretsbundle import SecretsBundle, parse
from tests.sim.cluster import APPLY, MODE, NAME, RESET, Cluster, addresses, patched, quickstart, watching
from tests.sim.shipped import until

pytestmark = pytest.mark.timeout(100)

CONTROLS = ("127.0.1.1", "127.0.1.2", "127.0.1.3")
WORKERS = ("127.0.1.4", "127.0.1.5")


def _owners(item: dict[str, object]) -> list[tuple[str, str, bool]]:
    references = item["metadata"].get("ownerReferences", ())  # type: ignore[attr-defined]
    return [(each["kind"], each["name"], each.get("controller", False)) for each in references]


def test_objects_have_the_names_owners_and_finalizers_of_the_contract(cluster: Cluster) -> None:
    machines = {f"{NAME}-{address}" for address in (*CONTROLS, *WORKERS)}
    assert cluster.names("TalosMachine") == machines
    assert cluster.names("Secret", "v1") == {
        f"{NAME}-{sort}" for sort in ("state", "kubeconfig", "talosconfig")
    }
    assert cluster.names("ConfigMap", "v1") == {f"{NAME}-config"}
    for kind in ("TalosCluster", "TalosControlPlane", "TalosWorker", "TalosMachine"):
        for item in cluster.run.all_of(cluster.client, kind):
            assert item["metadata"]["finalizers"] == [f"{kind.lower()}.talos.alperen.cloud/finalizer"]
    assert _owners(cluster.get("TalosControlPlane", NAME)) == [("TalosCluster", NAME, False)]
    assert _owners(cluster.get("TalosWorker", NAME)) == [("TalosCluster", NAME, False)]
    assert _owners(cluster.get("TalosMachine", f"{NAME}-127.0.1.1")) == [("TalosControlPlane", NAME, True)]
    assert _owners(cluster.get("TalosMachine", f"{NAME}-127.0.1.4")) == [("TalosWorker", NAME, True)]
    assert _owners(cluster.get("Secret", f"{NAME}-state", "v1")) == []
    assert _owners(cluster.get("Secret", f"{NAME}-kubeconfig", "v1")) == [("TalosControlPlane", NAME, True)]
    assert _owners(cluster.get("Secret", f"{NAME}-talosconfig", "v1")) == [("TalosControlPlane", NAME, True)]


def test_the_command_line_renders_what_the_machines_run(
    cluster: Cluster, command: Callable[..., CompletedProcess[str]], tmp_path: Path
) -> None:
    secret = tmp_path / "state.json"
    secret.write_text(json.dumps(cluster.get("Secret", f"{NAME}-state", "v1")))
    for address, role in ((CONTROLS[0], "controlplane"), (WORKERS[0], "worker")):
        wishes = tmp_path / f"{address}.json"
        wishes.write_text(json.dumps(cluster.get("TalosMachine", f"{NAME}-{address}")))
        shown = command("machineconfig", "render", "--secrets", secret, "--input", wishes, "--role", role)
        assert shown.returncode == 0, shown.stderr
        text = cluster.configuration(address)
        live = text[text.index("version: v1alpha1") :]
        assert text_paths(live, keeping_disk(live, shown.stdout)) == []


def test_the_state_secret_and_the_config_map_have_their_keys(cluster: Cluster) -> None:
    secret = cluster.get("Secret", f"{NAME}-state", "v1")
    assert secret["metadata"]["labels"] == {"talos.alperen.cloud/type": "state"}
    until("the state word is kept", lambda: cluster.secret(f"{NAME}-state")["state"] == "Ready")
    state = cluster.secret(f"{NAME}-state")
    assert set(state) == {"secretBundle", "bundleConfig", "config", "state", "observedKubeVersion"}
    assert state["observedKubeVersion"] == "v1.35.0"
    assert list(json.loads(state["bundleConfig"]))[:8] == [
        "clusterName", "endpoint", "version", "kubeVersion", "podCIDR", "serviceCIDR", "clientEndpoint", "clusterDomain",
    ]  # fmt: skip
    assert set(cluster.get("ConfigMap", f"{NAME}-config", "v1")["data"]) == {
        "controlplane.yaml",
        "worker.yaml",
    }


def test_the_published_credentials_are_valid_and_reach_the_machines(cluster: Cluster) -> None:
    bundle = parse(cluster.secret(f"{NAME}-state")["secretBundle"])
    talos = read_credentials(cluster.secret(f"{NAME}-talosconfig")[f"{NAME}.talosconfig"])
    kube = read_credentials(cluster.secret(f"{NAME}-kubeconfig")["kubeconfig"])
    assert talos.endpoints == CONTROLS
    assert kube.endpoints == ("https://127.0.1.1:6443",)
    assert facts(talos.client.crt).organizations == ("os:admin",)
    assert facts(kube.client.crt).organizations == ("system:masters",)
    for found, authority in ((talos, bundle.os), (kube, bundle.kubernetes)):
        assert signed_by(found.client.crt, authority.crt)
        assert facts(found.client.crt).not_after - time.time() > 300 * 24 * 3600
    for address in (*CONTROLS, *WORKERS):
        with cluster.machine_api(address) as machine:
            reply = machine.call("machine.MachineService/Version")
        assert reply["messages"][0]["version"]["tag"] == "v1.13.0"


def _secrets(bundle: SecretsBundle) -> set[str]:
    """Everything that must stay in Secrets: tokens, and each key as PEM, as base64 and line by line."""
    pairs = (bundle.etcd, bundle.kubernetes, bundle.aggregator, bundle.os)
    keys = [pair.key for pair in pairs] + [bundle.service_account]
    texts = {bundle.cluster_secret, bundle.bootstrap_token, bundle.secretbox, bundle.trustd_token}
    for key in keys:
        lines = [line for line in key.splitlines() if line and not line.startswith("-----")]
        texts |= {lines[0], lines[-1], base64.b64encode(key.encode()).decode()[40:80]}
    return texts


def _shown(cluster: Cluster) -> dict[str, str]:
    """What anybody but a reader of Secrets can see."""
    kinds = ("TalosCluster", "TalosControlPlane", "TalosWorker", "TalosMachine")
    shown = {kind: json.dumps(cluster.run.all_of(cluster.client, kind)) for kind in kinds}
    maps = cluster.run.all_of(cluster.client, "ConfigMap", "v1")
    decoded = [base64.b64decode(text).decode() for item in maps for text in item["data"].values()]
    leases = cluster.run.all_of(cluster.client, "Lease", "coordination.k8s.io/v1")
    shown |= {"ConfigMaps": json.dumps(maps) + "".join(decoded), "Leases": json.dumps(leases)}
    shown |= {"events": json.dumps(cluster.events()), "metrics": cluster.metrics()}
    return shown | {"log": cluster.run.output.read_text(), "calls": json.dumps(cluster.run.calls())}


def test_no_key_and_no_token_is_shown_anywhere_but_in_secrets(cluster: Cluster) -> None:
    secrets = _secrets(parse(cluster.secret(f"{NAME}-state")["secretBundle"]))
    for name in ("kubeconfig", "talosconfig"):
        (text,) = cluster.secret(f"{NAME}-{name}").values()
        secrets.add(read_credentials(text).client.key.splitlines()[1])
    kept = "".join(cluster.secret(f"{NAME}-state").values())
    assert sum(secret in kept for secret in secrets) >= 9  # they are what one would find
    for place, text in _shown(cluster).items():
        assert len(text) > 1, place
        assert not [secret[:8] for secret in secrets if secret in text], place


def test_a_change_by_hand_is_told_by_a_dry_run_and_then_taken_back(cluster: Cluster) -> None:
    address, machine = "127.0.1.4", f"{NAME}-127.0.1.4"
    before = len(cluster.calls(APPLY))
    cluster.annotate("TalosMachine", machine, MODE, "dryrun")
    status = cluster.get("TalosMachine", machine)["status"]
    drift = {"machine": {"sysctls": {"kernel.panic": "1"}}}
    cluster.run.control(op="drift", machine=address, merge=drift)
    cluster.annotate("TalosMachine", machine, "example.org/look", "now")

    def told() -> bool:
        notes = [event["note"] for event in cluster.events() if event["reason"] == "DryRun"]
        return any("machine.sysctls" in note for note in notes)

    until("an event tells of the difference", told, deadline_s=20)
    assert "kernel.panic" in cluster.configuration(address)
    assert cluster.get("TalosMachine", machine)["status"] == status
    cluster.annotate("TalosMachine", machine, MODE, None)
    until("it is taken back", lambda: "kernel.panic" not in cluster.configuration(address), deadline_s=20)
    cluster.annotate("TalosMachine", machine, "example.org/look", None)
    cluster.ready()
    assert [at for at in cluster.calls(APPLY)[before:] if at != address] == []


def test_one_more_worker_joins_and_one_less_is_wiped_while_the_others_run_on(cluster: Cluster) -> None:
    larger = quickstart()
    larger["spec"]["worker"]["metalSpec"]["machines"] = addresses(4, 3)
    boots = {at: machine["boot_id"] for at, machine in cluster.run.machines().items()}
    cluster.apply(larger)
    cluster.ready()
    assert cluster.run.machines()["127.0.1.6"]["ready"]
    resets = len(cluster.calls(RESET))
    cluster.apply(quickstart())
    cluster.gone("TalosMachine", f"{NAME}-127.0.1.6")
    cluster.ready()
    until("its disk is empty", lambda: cluster.run.machines()["127.0.1.6"]["stage"] == "maintenance")
    assert cluster.calls(RESET)[resets:] == ["127.0.1.6"]
    after = {at: machine["boot_id"] for at, machine in cluster.run.machines().items()}
    assert {at: boot for at, boot in after.items() if at != "127.0.1.6"} == {
        at: boot for at, boot in boots.items() if at != "127.0.1.6"
    }


@pytest.mark.slow
def test_what_somebody_changed_on_all_control_planes_at_once_is_taken_back_one_at_a_time(
    cluster: Cluster,
) -> None:
    before = len(cluster.calls(APPLY))
    with watching(cluster.run) as down:
        for address in CONTROLS:
            drift = {"machine": {"env": {"GREETING": "from somebody else"}}}  # taking it back takes a reboot
            cluster.run.control(op="drift", machine=address, merge=drift)
        for address in CONTROLS:
            cluster.annotate("TalosMachine", f"{NAME}-{address}", "example.org/look", "now")
        until("all three were sent", lambda: len(cluster.calls(APPLY)) == before + 3, deadline_s=90)
        cluster.ready()
    assert sorted(cluster.calls(APPLY)[before:]) == list(CONTROLS)
    assert max(map(len, down)) == 1, down
    assert not any("GREETING" in cluster.configuration(address) for address in CONTROLS)


def test_a_changed_patch_reaches_one_control_plane_machine_at_a_time_then_the_workers(
    cluster: Cluster,
) -> None:
    leader = cluster.etcd_leader()
    before = len(cluster.calls(APPLY, ok=False))
    with watching(cluster.run) as down:
        cluster.apply(patched(quickstart(), {"machine": {"env": {"GREETING": "hello"}}}))  # takes a reboot
        cluster.ready()
    applied = cluster.calls(APPLY, ok=False)[before:]
    assert sorted(applied[:3]) == list(CONTROLS)
    assert sorted(applied[3:]) == list(WORKERS)
    assert applied[2] == leader
    assert max(map(len, down)) == 1, down
    assert {at for each in down for at in each} == {*CONTROLS, *WORKERS}
    for address in applied:
        assert "GREETING: hello" in cluster.configuration(address)


def test_deleting_the_cluster_wipes_workers_first_and_every_machine_once(standing: Cluster) -> None:
    cluster = standing  # as the test before has left it
    before = len(cluster.calls(RESET))
    bundle = cluster.secret(f"{NAME}-state")["secretBundle"]
    cluster.delete("TalosCluster", NAME)
    cluster.gone("TalosCluster", NAME)
    wiped = cluster.calls(RESET)[before:]
    assert sorted(wiped[:2]) == list(WORKERS)
    assert sorted(wiped[2:]) == list(CONTROLS)
    for kind in ("TalosControlPlane", "TalosWorker", "TalosMachine"):
        assert cluster.names(kind) == set()
    until(
        "every machine is in maintenance mode",
        lambda: all(machine["stage"] == "maintenance" for machine in cluster.run.machines().values()),
    )
    assert cluster.names("Secret", "v1") == {f"{NAME}-state"}
    assert cluster.secret(f"{NAME}-state")["secretBundle"] == bundle
