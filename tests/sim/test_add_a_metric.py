"""docs/add-a-metric.md, followed to the letter in a copy of the project."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sim.shipped import ROOT, _end_simulator, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PAGE = (ROOT / "docs" / "add-a-metric.md").read_text("utf-8")
NAME = "talos_operator_machines_by_version"
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", ".run", ".prometheus", ".image", "build", "__pycache__", ".*_cache"
)


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def project(tmp_path):
    """A copy of the project whose .venv is the environment of this test, so that nothing is installed."""
    folder = tmp_path / "project"
    shutil.copytree(ROOT, folder, ignore=LEFT_OUT)
    for name in ("requirements/dev.txt", "pyproject.toml"):
        os.utime(folder / name, (0, 0))
    (folder / ".venv").mkdir()
    for path in Path(sys.prefix).iterdir():
        if path.name != ".ready":
            (folder / ".venv" / path.name).symlink_to(path)
    (folder / ".venv" / ".ready").touch()
    return folder


def run(command, folder, output=subprocess.PIPE, **more):
    environment = {**os.environ, "PYTHONPATH": str(folder), "MAKEFLAGS": ""}
    return subprocess.Popen(
        ["bash", "-c", command],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        text=True,
        **more,
    )


def done(command, folder):
    process = run(command, folder)
    said, _ = process.communicate(timeout=200)
    assert process.returncode == 0, f"{command}\n{said}"
    return said


def test_the_page_leads_to_a_metric_and_its_panel(project):
    check, start, look, draw, document = re.findall(r"^\$ (.+)$", PAGE, re.MULTILINE)
    in_rule, in_config = blocks("yaml")
    (shown,) = blocks("text")
    dashboard = project / "grafana/custom-metrics/custom-metrics-dashboard.json"
    before = len(json.loads(dashboard.read_text("utf-8"))["panels"])

    append(project / "rules/talosmachine.yaml", in_rule)
    assert "no mistakes" in done(check, project)

    log = project / "run.log"
    with log.open("w") as output:
        running = run(start, project, output, start_new_session=True)
    try:
        until("the metric is as the page shows it", lambda: scraped(look, project) == shown, deadline_s=150)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{scraped(look, project)}\n{log.read_text()[-3000:]}") from None
    finally:
        os.killpg(running.pid, signal.SIGINT)
        running.wait(60)
        _end_simulator(project / ".run")

    append(project / "grafana/custom-metrics/config.yaml", in_config)
    assert "written" in done(draw, project)
    panels = json.loads(dashboard.read_text("utf-8"))["panels"]
    assert len(panels) == before + 1
    assert panels[-1]["title"] == f"{NAME} (gauge)"
    assert NAME in panels[-1]["targets"][0]["expr"]

    done(document, project)
    assert f"`{NAME}`" in (project / "docs/metrics.md").read_text("utf-8")


def append(path, text):
    path.write_text(path.read_text("utf-8") + text, "utf-8")


def scraped(command, folder):
    process = run(command, folder)
    return process.communicate(timeout=20)[0]
