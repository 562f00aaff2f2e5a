"""`talos-operator backup create` and `list` against the API: another backup like the ones of a schedule."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from engine.base.kinds import Key
from tests.sim.cluster import Cluster, started
from tests.sim.shipped import API, ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

SPEC = {"talosControlPlaneRef": {"name": "nowhere"}, "backupStorage": {"directory": {"path": "team-a"}}}


def operator(cluster: Cluster, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable, "-m", "engine", "backup", *arguments,
        "--kubeconfig", str(cluster.run.folder / "kubeconfig"),
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)


def test_a_backup_is_made_like_those_of_a_schedule_or_like_another_backup(tmp_path: Path) -> None:
    with started(tmp_path / "run", machines=1) as cluster:
        kind = cluster.client.kind_named(API, "TalosEtcdBackupSchedule")
        spec = {"schedule": "@yearly", "paused": True, "backupTemplate": {"spec": SPEC}}
        body = {"apiVersion": API, "kind": kind.name, "metadata": {"name": "nightly"}, "spec": spec}
        cluster.client.create(kind, "default", body)
        assert operator(cluster, "create", "first", "--like", "nightly", "--no-wait").returncode == 0
        assert operator(cluster, "create", "second", "--like", "first", "--no-wait").returncode == 0
        backups = cluster.client.kind_named(API, "TalosEtcdBackup")
        for name in ("first", "second"):
            found = cluster.client.get(Key(backups, "default", name))["spec"]
            assert found["talosControlPlaneRef"] == SPEC["talosControlPlaneRef"]
            assert found["backupStorage"]["directory"] == {"path": "team-a"}
        listed = json.loads(operator(cluster, "list", "-o", "json").stdout)["items"]
        assert [item["metadata"]["name"] for item in listed] == ["first", "second"]
        assert operator(cluster, "list").stdout.splitlines()[1].split()[:2] == ["first", "nowhere"]
        late = operator(cluster, "create", "third", "--like", "first", "--timeout", "1s")
        assert (late.returncode, "no backup within 1 s" in late.stderr) == (1, True)
        lost = operator(cluster, "create", "fourth", "--like", "nothing")
        assert (lost.returncode, "no schedule and no backup is called nothing" in lost.stderr) == (1, True)
