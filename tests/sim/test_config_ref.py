"""A configuration that the user wrote, in a ConfigMap: taken whole, its keys used, its changes followed."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator

import pytest
import yaml

from engine.machineconfig.render import Rendered, render
from engine.machineconfig.secretsbundle import generate
from tests.sim.cluster import APPLY, BOOTSTRAP, Cluster, started
from tests.sim.shipped import API, until
from tests.sim.test_single_objects import _config_map, at, control_plane
from tests.unit.machineconfig.samples import cluster as bundle_config

pytestmark = [pytest.mark.slow, pytest.mark.timeout(150)]

CONTROLS, WORKER = ("127.0.1.1", "127.0.1.2", "127.0.1.3"), "127.0.1.4"
BUNDLE = generate(time.time(), secrets.token_bytes).text()


def _text(role: str, **sysctls: str) -> str:
    """A configuration as a person could keep it, with a comment and of another cluster name."""
    patch = {"machine": {"sysctls": {f"net.{key}": value for key, value in sysctls.items()}}}
    result = render(
        role="controlplane" if role == "controlplane" else "worker",
        cluster_text=bundle_config(clusterName="by-hand", version="v1.13.0", kubeVersion="v1.35.0"),
        bundle_text=BUNDLE,
        machine={"configPatches": [patch], "image": "ghcr.io/siderolabs/installer:v1.13.0"},
        disk="/dev/sdb",
    )
    assert isinstance(result, Rendered)
    return f"\n# written by hand\n{result.text}\n\n"


def _write(cluster: Cluster, **sysctls: str) -> None:
    texts = {f"{role}.yaml": _text(role, **sysctls) for role in ("controlplane", "worker")}
    _config_map(cluster, "by-hand", **texts)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with started(tmp_path_factory.mktemp("sim") / "run", machines=4) as found:
        _write(found, first="1")
        # What the spec says beside it does not count.
        ignored = {"installDisk": "/dev/sda", "image": "other.example/installer", "airGap": True}
        document = control_plane("own", *(at(address) for address in CONTROLS))
        document["spec"]["configRef"] = {"name": "by-hand", "key": "controlplane.yaml"}
        document["spec"]["metalSpec"]["machineSpec"] = ignored
        found.apply(document)
        pool = {
            "version": "v1.13.0",
            "kubeVersion": "v1.35.0",
            "mode": "metal",
            "controlPlaneRef": {"name": "own"},
            "configRef": {"name": "by-hand", "key": "worker.yaml"},
            "metalSpec": {"machines": [at(WORKER)], "machineSpec": ignored},
        }
        found.apply(
            {"apiVersion": API, "kind": "TalosWorker", "metadata": {"name": "own-pool"}, "spec": pool}
        )
        found.ready("TalosControlPlane", "own")
        found.ready("TalosWorker", "own-pool")
        yield found


def test_a_configuration_that_is_named_is_what_every_machine_runs_word_for_word(cluster: Cluster) -> None:
    for address in CONTROLS:
        assert cluster.configuration(address, "own") == _text("controlplane", first="1").strip()
    assert cluster.configuration(WORKER, "own") == _text("worker", first="1").strip()
    assert {machine["system_disk"] for machine in cluster.run.machines().values()} == {"sdb"}


def test_the_keys_of_a_cluster_are_those_of_the_configuration_that_is_named(cluster: Cluster) -> None:
    assert cluster.secret("own-state")["secretBundle"] == BUNDLE
    assert len(cluster.calls(BOOTSTRAP)) == 1


def test_the_kubeconfig_leads_where_the_named_configuration_says(cluster: Cluster) -> None:
    told = yaml.safe_load(cluster.secret("own-kubeconfig")["kubeconfig"])
    assert told["clusters"][0]["cluster"]["server"] == "https://10.5.0.2:6443"


def test_a_change_of_the_named_configuration_reaches_every_machine_once(cluster: Cluster) -> None:
    before = len(cluster.calls(APPLY))
    _write(cluster, first="1", second="2")

    def changed(address: str, role: str) -> bool:
        return cluster.configuration(address, "own") == _text(role, first="1", second="2").strip()

    until(
        "all run the changed one",
        lambda: changed(WORKER, "worker") and all(changed(each, "controlplane") for each in CONTROLS),
        deadline_s=60,
    )
    assert sorted(cluster.calls(APPLY)[before:]) == sorted([*CONTROLS, WORKER])
