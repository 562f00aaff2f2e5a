"""A real Prometheus on loopback that scrapes one engine in two ways, and answers questions about it."""

from __future__ import annotations

import json
import math
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.observability.programs import program
from tests.sim.shipped import API, free_port, until

HONORED, OVERRIDDEN = "talos-operator-honored", "talos-operator-overridden"
"""Jobs with honor_labels true and false; both targets have the labels that a target in a cluster has."""
_TARGET = {"namespace": "talos-operator-system", "pod": "talos-operator-0"}

SCHEDULE = {
    "apiVersion": API,
    "kind": "TalosEtcdBackupSchedule",
    "metadata": {"name": "often", "namespace": "default"},
    "spec": {
        "schedule": "@every 5s",
        "retention": 2,
        "backupTemplate": {
            "spec": {
                "talosControlPlaneRef": {"name": "quickstart"},
                "backupStorage": {"directory": {}},
            }
        },
    },
}
"""Backups often enough to be seen in a test; the engine needs --backup-directory."""


class Prometheus:
    """What runs on one port."""

    def __init__(self, port: int) -> None:
        self._address = f"http://127.0.0.1:{port}"

    def ask(self, path: str, **parameters: str) -> Any:
        """The data of an answer; fails with what Prometheus says is wrong."""
        address = f"{self._address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(address, timeout=10) as reply:
                return json.load(reply)["data"]
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(f"{parameters}: {error.read().decode()}") from None

    def query(self, expr: str) -> list[dict[str, Any]]:
        """The series of an answer of now; `value` is a number."""
        found = self.ask("query", query=expr)
        assert found["resultType"] == "vector", expr
        return [{"metric": each["metric"], "value": float(each["value"][1])} for each in found["result"]]

    def is_up(self) -> bool:
        """Whether it is ready to answer."""
        try:
            with urllib.request.urlopen(f"{self._address}/-/ready", timeout=10):
                return True
        except OSError:
            return False


def has_data(series: list[dict[str, Any]]) -> bool:
    """Whether there is at least one series, and each is a number."""
    return bool(series) and not any(math.isnan(each["value"]) for each in series)


@contextmanager
def scraping(folder: Path, metrics_port: int, rules: Path | None = None) -> Iterator[Prometheus]:
    """A Prometheus that scrapes the engine every second, ended afterwards."""
    targets = [{"targets": [f"127.0.0.1:{metrics_port}"], "labels": _TARGET}]
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(rules)] if rules is not None else [],
        "scrape_configs": [
            {"job_name": name, "honor_labels": name == HONORED, "static_configs": targets}
            for name in (HONORED, OVERRIDDEN)
        ],
    }
    folder.mkdir()
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config), "utf-8")
    port = free_port()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                program("prometheus"),
                f"--config.file={folder}/prometheus.yml",
                f"--storage.tsdb.path={folder}/data",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            cwd=folder,
        )
    found = Prometheus(port)
    try:
        until("Prometheus answers", found.is_up, deadline_s=30)
        yield found
    finally:
        process.kill()
        process.wait()
