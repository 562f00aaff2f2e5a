"""A cluster of any size on simulated machines, run by the shipped program, and what it says of itself.

Neighbours: `tests.sim.shipped` starts and ends the program; `measure` asks for figures.
"""

from __future__ import annotations

import json
import socket
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from engine.ports.kube.client import KubeClient
from tests.sim.shipped import Shipped, is_ready, shipped

FIRST = IPv4Address("127.0.1.1")
CONTROL_PLANES = 3


def manifest(machines: int) -> str:
    """One TalosCluster: three control plane machines, the rest workers. JSON is YAML too."""
    addresses = [{"address": str(FIRST + number)} for number in range(machines)]
    versions = {"version": "v1.13.0", "kubeVersion": "v1.35.0", "mode": "metal"}
    spec = {
        "controlPlane": {
            **versions,
            "endpoint": f"https://{FIRST}:6443",
            "metalSpec": {"machines": addresses[:CONTROL_PLANES]},
        },
        "worker": {**versions, "metalSpec": {"machines": addresses[CONTROL_PLANES:]}},
    }
    whole = {
        "apiVersion": "talos.alperen.cloud/v1alpha1",
        "kind": "TalosCluster",
        "metadata": {"name": "bench", "namespace": "default"},
        "spec": spec,
    }
    return json.dumps(whole)


@dataclass(frozen=True, slots=True)
class Running:
    """A running cluster.

    `took_s`: from the start of the program until the cluster was Ready; `worked_s`:
    from the first call to a machine in maintenance mode until then.
    """

    run: Shipped
    client: KubeClient
    port: int
    took_s: float
    worked_s: float

    def sample(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that carry these labels."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def revision(self) -> str:
        """The version of everything that is stored: it stands still while nobody writes."""
        kind = self.client.kind_named("talos.alperen.cloud/v1alpha1", "TalosCluster")
        return next(iter(self.client.list_pages(kind))).resource_version

    def machines_ready(self) -> int:
        """How many TalosMachines are Ready."""
        machines: list[dict[str, Any]] = self.run.all_of(self.client, "TalosMachine")
        return sum(1 for each in machines if is_ready(each))


@contextmanager
def running(folder: Path, machines: int, *, within_s: float) -> Iterator[Running]:
    """A cluster of `machines` machines that is Ready; everything is ended afterwards."""
    file = folder / "cluster.yaml"
    file.write_text(manifest(machines), "utf-8")
    port = free_port()
    with shipped(folder / "run") as run:
        started = time.monotonic()
        run.start(
            "--simulate", str(machines), "--apply", str(file), "--metrics-bind-address", f"127.0.0.1:{port}"
        )
        client = run.client()
        _wait_until_ready(run, client, started + within_s)
        first = datetime.fromisoformat(run.calls()[0]["time"]).timestamp()
        yield Running(run, client, port, time.monotonic() - started, time.time() - first)


def _wait_until_ready(run: Shipped, client: KubeClient, deadline: float) -> None:
    while time.monotonic() < deadline:
        if any(is_ready(each) for each in run.all_of(client, "TalosCluster")):
            return
        assert run.process is not None
        if run.process.poll() is not None:
            break
        time.sleep(0.1)
    raise SystemExit(f"the cluster did not become Ready:\n{run.log()}")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
