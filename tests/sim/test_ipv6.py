"""A cluster on IPv6: its machine is named by a reference, for the list of addresses takes IPv4 only."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.sim.cluster import BOOTSTRAP, started
from tests.sim.shipped import ROOT, until
from tests.sim.test_single_objects import _config_map, control_plane

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def test_a_machine_with_an_ipv6_address_becomes_a_cluster_and_leaves_again(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    (folder / "machines").mkdir(parents=True)
    command = [
        sys.executable, "-m", "engine", "simulate", "--machines", "1", "--first-address", "::1",
        "--directory", str(folder / "machines"), "--calls", str(folder / "calls.jsonl"),
    ]  # fmt: skip
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd=ROOT) as process:
        (folder / "simulator.pid").write_text(json.dumps({"pid": process.pid, "machines": 1}))
        try:
            until("the machine is there", (folder / "machines" / "ready.json").exists)
            _lives(folder)
        finally:
            process.kill()


def _lives(folder: Path) -> None:
    with started(folder, machines=1) as cluster:
        _config_map(cluster, "host", ip="0:0::1")
        ref = {
            "machineRef": {"apiVersion": "v1", "kind": "ConfigMap", "name": "host", "fieldPath": ".data.ip"}
        }
        cluster.apply(control_plane("six", ref, endpoint="https://[fd00::1]:6443"))
        cluster.ready("TalosControlPlane", "six")
        assert cluster.calls(BOOTSTRAP) == ["::1"]
        assert cluster.get("TalosMachine", "six---1")["spec"]["endpoint"] == "::1"
        told = yaml.safe_load(cluster.secret("six-talosconfig")["six.talosconfig"])
        assert told["contexts"]["six"]["endpoints"] == ["::1"]
        kubeconfig = yaml.safe_load(cluster.secret("six-kubeconfig")["kubeconfig"])
        assert kubeconfig["clusters"][0]["cluster"]["server"] == "https://[fd00::1]:6443"
        cluster.delete("TalosControlPlane", "six")
        cluster.gone("TalosControlPlane", "six")
        until("it is wiped", lambda: not cluster.run.machines()["::1"]["configured"], deadline_s=10)
