"""Talos's own Go client understands the simulator: the proof that it speaks the protocol and not a dialect of ours."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "simulator"))

from simulator_process import Simulation, authority, config

from engine.machineconfig.certificates import issue
from tests.gotool import built

pytestmark = [pytest.mark.slow, pytest.mark.go, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def goclient(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The built client; skips where Go or its modules cannot be had."""
    return built(Path(__file__).parent, tmp_path_factory.mktemp("goclient") / "goclient")


@pytest.fixture(scope="module")
def simulation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulation]:
    """Three control plane machines, a worker, and a fifth left in maintenance."""
    simulation = Simulation(tmp_path_factory.mktemp("simulator"), 5)
    simulation.start()
    idle = simulation.addresses.pop()
    simulation.bring_up(workers=1)
    simulation.addresses.append(idle)
    yield simulation
    simulation.stop()


def answers(program: str, *arguments: str) -> dict[str, Any]:
    """What the client printed; its error text when it failed."""
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_go_client_reads_everything_from_a_ready_control_plane_machine(
    goclient: str, simulation: Simulation, tmp_path: Path
) -> None:
    ca = authority()
    pair = issue(ca, now=time.time() - 5, ttl_s=3600, organizations=["os:admin"], client=True)
    encoded = {
        name: base64.b64encode(text.encode()).decode()
        for name, text in (("ca", ca.crt), ("crt", pair.crt), ("key", pair.key))
    }
    context = {"endpoints": [simulation.addresses[0]], **encoded}
    path = tmp_path / "talosconfig"
    path.write_text(yaml.safe_dump({"context": "demo", "contexts": {"demo": context}}))
    found = answers(goclient, str(path), simulation.addresses[0])
    kubeconfig = yaml.safe_load(found.pop("kubeconfig"))
    assert kubeconfig["clusters"][0]["cluster"]["server"] == "https://10.5.0.2:6443"
    machine = simulation.machine(simulation.addresses[0])
    services = found.pop("services")
    assert services == dict.fromkeys(services, "Running")
    assert {"apid", "etcd", "kubelet", "trustd", "machined", "cri"} <= set(services)
    events = found.pop("events")
    assert events["*machine.ServiceStateEvent"] > 5
    assert len(set(found.pop("clusterMembers"))) == 4
    assert found == {
        "absent": True,
        "address": simulation.addresses[0],
        "alarms": 0,
        "definition": "runtime",
        "disks": ["/dev/sda", "/dev/sdb", "/dev/sr0"],
        "fanOut": 1,
        "fanOutFailed": True,
        "hostname": machine["hostname"],
        "kubelet": True,
        "leader": True,
        "machineType": "controlplane",
        "memberID": machine["etcd_member"],
        "members": 3,
        "ready": True,
        "snapshot": True,
        "stage": "running",
        "systemDisk": "/dev/sda",
        "version": "v1.13.9",
        "watch": "Created",
        "watchKind": len(services),
    }


def test_the_go_client_meets_a_machine_in_maintenance_mode(
    goclient: str, simulation: Simulation, tmp_path: Path
) -> None:
    path = tmp_path / "worker.yaml"
    path.write_text(config("worker"))
    found = answers(goclient, "-insecure", simulation.addresses[-1], str(path))
    assert found.pop("apply").startswith("Dry run summary:")
    assert found == {
        "bootstrap": "PermissionDenied",
        "disks": ["/dev/sda", "/dev/sdb", "/dev/sr0"],
        "ready": True,
        "services": "OK",
        "stage": "maintenance",
    }
