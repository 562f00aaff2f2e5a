"""Machines of an older Talos: booted from it, installed with it, changed and deleted like any other."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.sim.cluster import APPLY, BOOTSTRAP, NAME, Cluster, Document, patched, quickstart, started
from tests.sim.shipped import ROOT, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(150)]

# What is wanted, and what the machines are booted from.
VERSIONS = (("v1.10.9", "v1.10.9"), ("v1.11.6", "v1.11.6"), ("v1.12.4", "v1.12.4"), ("v1.12.4", "v1.13.0"))


@contextmanager
def _machines(folder: Path, count: int, version: str) -> Iterator[None]:
    """Simulated machines with this boot medium where the engine's run will find them."""
    (folder / "machines").mkdir(parents=True)
    command = [
        sys.executable, "-m", "engine", "simulate", "--machines", str(count), "--talos-version", version,
        "--directory", str(folder / "machines"), "--calls", str(folder / "calls.jsonl"),
    ]  # fmt: skip
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd=ROOT) as process:
        (folder / "simulator.pid").write_text(json.dumps({"pid": process.pid, "machines": count}))
        until("the machines are there", (folder / "machines" / "ready.json").exists)
        try:
            yield
        finally:
            process.kill()


def _of_version(version: str) -> Document:
    document = quickstart(3, 1)
    for part in document["spec"].values():
        part["version"] = version
    return document


@pytest.mark.parametrize(("wanted", "medium"), VERSIONS)
def test_machines_of_older_versions_of_talos_become_a_cluster_and_are_changed(
    tmp_path: Path, wanted: str, medium: str
) -> None:
    folder = tmp_path / "run"
    with _machines(folder, 4, medium), started(folder, machines=4) as cluster:
        cluster.run.control(op="speed", factor=4)
        cluster.apply(_of_version(wanted))
        cluster.ready()
        assert {machine["version"] for machine in cluster.run.machines().values()} == {wanted}
        assert cluster.get("TalosMachine", f"{NAME}-127.0.1.1")["status"]["observedVersion"] == wanted
        _change_and_delete(cluster, wanted)


def _change_and_delete(cluster: Cluster, wanted: str) -> None:
    before = len(cluster.calls(APPLY))
    cluster.apply(patched(_of_version(wanted), {"machine": {"sysctls": {"net.core.somaxconn": "8192"}}}))
    cluster.ready()
    assert sorted(cluster.calls(APPLY)[before:]) == ["127.0.1.1", "127.0.1.2", "127.0.1.3", "127.0.1.4"]
    assert len(cluster.calls(BOOTSTRAP)) == 1
    cluster.delete("TalosCluster", NAME)
    cluster.gone("TalosCluster", NAME)
    assert not [call for call in cluster.run.calls() if call["code"] == "UNIMPLEMENTED"]
