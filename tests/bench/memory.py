"""What memory the engine needs for many machines at rest, after all of them dropped and came back twice.

The embedded API and the machines have processes of their own, as a cluster's API server and real machines
do; the engine is the shipped program with what the image sets for malloc. Neighbours: `cluster` writes the manifest, `figures` shows.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from engine.companion import Companion
from engine.ports.kube.client import KubeClient
from tests.bench.cluster import free_port, manifest
from tests.bench.figures import Figure
from tests.sim.shipped import ROOT, is_ready, until

MEBIBYTE = 1 << 20
REST_S = 80.0
"""Longer than a minute: by then every machine was looked at once and memory was given back."""


def memory(folder: Path, machines: int) -> list[Figure]:
    """Resident memory of the engine at rest, before and after two drops of all machines."""
    with ExitStack() as stack:
        fleet = Companion(folder, machines)
        client = stack.enter_context(_api(folder))
        fleet.start()
        stack.callback(fleet.stop)
        port = free_port()
        stack.enter_context(_engine(folder, machines, port))
        _ready(client, machines)
        time.sleep(REST_S)
        first = _resident(port)
        for _ in range(2):
            _drop(folder)
            _ready(client, 0)
            fleet.start()
            _ready(client, machines)
        time.sleep(REST_S)
        return [
            Figure(f"memory of the engine with {machines} machines at rest", first, "MiB"),
            Figure("  after all dropped and came back twice", _resident(port), "MiB", 150.0),
        ]


@contextmanager
def _api(folder: Path) -> Iterator[KubeClient]:
    with _process("engine.standalone", str(folder)):
        until("the API writes its kubeconfig", (folder / "kubeconfig").exists)
        client = KubeClient.connect(folder / "kubeconfig")
        try:
            yield client
        finally:
            client.close()


@contextmanager
def _engine(folder: Path, machines: int, port: int) -> Iterator[None]:
    wish = folder / "cluster.yaml"
    wish.write_text(manifest(machines), "utf-8")
    with _process(
        "engine", "run", "--kubeconfig", str(folder / "kubeconfig"), "--apply", str(wish),
        "--metrics-bind-address", f"127.0.0.1:{port}", "--metrics-secure=false", "--health-probe-bind-address", "0",
        environment=_of_the_image(),
    ):  # fmt: skip
        yield


def _of_the_image() -> dict[str, str]:
    found = dict(re.findall(r"\b((?:MALLOC|GLIBC)_\w+)=(\S+)", (ROOT / "Dockerfile").read_text("utf-8")))
    assert found, "the Dockerfile sets nothing for malloc"
    return found


@contextmanager
def _process(module: str, *arguments: str, environment: Mapping[str, str] | None = None) -> Iterator[None]:
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def _ready(client: KubeClient, wanted: int) -> None:
    kind = client.kind_named("talos.alperen.cloud/v1alpha1", "TalosMachine")

    def counted() -> bool:
        pages = client.list_pages(kind, "default")
        return sum(is_ready(item) for page in pages for item in page.items) == wanted

    until(f"{wanted} machines are Ready", counted, deadline_s=900)


def _drop(folder: Path) -> None:
    """Switch every machine off at once, as a power cut would."""
    record = folder / "simulator.pid"
    os.kill(json.loads(record.read_text())["pid"], signal.SIGKILL)
    record.unlink()


def _resident(port: int) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
        lines = answer.read().decode().splitlines()
    line = next(line for line in lines if line.startswith("process_resident_memory_bytes "))
    return float(line.split()[1]) / MEBIBYTE
