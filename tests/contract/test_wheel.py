"""What is shipped runs where no checkout is: code, rules and schemas travel in one wheel."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile

import pytest

from tests.contract.sources import ROOT

ASSETS = ("rules", "schemas", "grafana", "alerting")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    (found,) = folder.glob("*.whl")
    return found


def test_every_asset_travels_in_the_wheel(wheel):
    inside = set(zipfile.ZipFile(wheel).namelist())
    outside = {
        f"engine/_assets/{path.relative_to(ROOT).as_posix()}"
        for folder in ASSETS
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert sorted(outside - inside) == []
    assert "engine/_assets/schemas/crds/talosmachines.yaml" in inside


def test_nothing_else_travels(wheel):
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top for top in tops if top != "engine" and not top.endswith(".dist-info")} == set()


@pytest.mark.slow
@pytest.mark.registry
@pytest.mark.timeout(400)
def test_the_wheel_runs_in_an_empty_environment(wheel, tmp_path):
    environment = tmp_path / "venv"
    python = environment / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True, timeout=100)
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    locked = ["--require-hashes", "-r", ROOT / "requirements" / "runtime.txt"]
    subprocess.run([*install, *locked], check=True, timeout=300)
    subprocess.run([*install, "--no-deps", wheel], check=True, timeout=100)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    shown = subprocess.run(
        [environment / "bin" / "talos-operator", "validate"],
        cwd=tmp_path,
        env=clean,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith("no mistakes in rules for ")
