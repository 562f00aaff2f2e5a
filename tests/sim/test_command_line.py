"""Mistakes on the command line end the program at once, with the reason, and leave nothing half done."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from tests.sim.shipped import QUICKSTART, ROOT, Shipped, shipped

pytestmark = pytest.mark.timeout(60)

WRONG = """
apiVersion: v1
kind: ConfigMap
metadata: {name: before, namespace: default}
---
apiVersion: talos.alperen.cloud/v1alpha1
kind: TalosControlPlane
metadata: {name: wrong, namespace: default}
spec: {version: v1.13.0, kubeVersion: v1.35.0, mode: metall}
"""


def _ended(run: Shipped, *arguments: str) -> tuple[int, str]:
    run.start(*arguments)
    return run.wait(30), run.log()


def test_a_port_in_use_is_named_with_its_flag(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, shipped(tmp_path / "run") as run:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        code, said = _ended(run, "--simulate", "1", "--metrics-bind-address", address)
        assert code == 2
        assert f"--metrics-bind-address: cannot listen on {address}" in said
        assert not _simulator_runs(run)


@pytest.mark.parametrize("text", [None, "spec: [", "just text", "a: b"])
def test_a_file_that_holds_no_objects_ends_it_before_anything_is_started(
    tmp_path: Path, text: str | None
) -> None:
    file = tmp_path / "wish.yaml"
    if text is not None:
        file.write_text(text)
    with shipped(tmp_path / "run") as run:
        code, said = _ended(run, "--simulate", "1", "--apply", str(file))
        assert code == 2
        assert str(file) in said
        assert "Traceback" not in said
        assert not run.folder.exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read_ends_it_before_anything_is_started(tmp_path: Path) -> None:
    file = tmp_path / "wish.yaml"
    file.write_text(QUICKSTART.read_text())
    file.chmod(0)
    with shipped(tmp_path / "run") as run:
        code, said = _ended(run, "--apply", str(file))
        assert code == 2
        assert "Permission denied" in said
        assert not run.folder.exists()


def test_one_refused_object_keeps_the_others_of_its_file_out(tmp_path: Path) -> None:
    file = tmp_path / "wish.yaml"
    file.write_text(WRONG)
    with shipped(tmp_path / "run") as run:
        code, said = _ended(run, "--simulate", "1", "--apply", str(file), "--until-ready", "20s")
        assert code == 2
        assert "TalosControlPlane wrong" in said
        assert '"metall"' in said
        assert "nothing was applied" in said
        assert not _simulator_runs(run)
        run.start()
        assert run.find(run.client(), "ConfigMap", "before", "v1") is None


def test_a_second_engine_on_a_folder_is_sent_away_and_the_first_runs_on(tmp_path: Path) -> None:
    with shipped(tmp_path / "run") as first:
        first.start()
        first.client()
        second = Shipped(first.folder)
        second.output = tmp_path / "second.log"
        code, said = _ended(second)
        assert code != 0
        assert f"{first.folder} is in use by another process" in said
        assert first.process is not None
        assert first.process.poll() is None


def test_rules_with_a_mistake_end_it_before_anything_is_started(tmp_path: Path) -> None:
    rule = (ROOT / "rules" / "taloscluster.yaml").read_text().replace("obs.worker", "obs.wroker", 1)
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "parts").symlink_to(ROOT / "rules" / "parts")
    (tmp_path / "rules" / "taloscluster.yaml").write_text(rule)
    with shipped(tmp_path / "run") as run:
        code, said = _ended(run, "--rules", str(tmp_path / "rules"))
        assert code != 0
        assert "worker" in said
        assert "^" in said
        assert not run.folder.exists()


def _simulator_runs(run: Shipped) -> bool:
    return (run.folder / "simulator.pid").exists()
