"""What every test may ask for: the shipped program as a subprocess, waiting with a deadline, golden data.

Nothing here knows a part of the engine; fixtures of one part live beside its tests.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests import network

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests" / "golden"


def pytest_configure(config: pytest.Config) -> None:
    """Each of several workers has a network of its own."""
    if hasattr(config, "workerinput"):
        network.enter()


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flags and clusters of whoever runs the tests do not reach them."""
    for name in list(os.environ):
        if name.startswith("TALOS_OPERATOR_") or name in {"KUBECONFIG", "KUBERNETES_SERVICE_HOST"}:
            monkeypatch.delenv(name)


@pytest.fixture
def command() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the shipped program to its end: `command("validate", "x.yaml")`."""

    def run(
        *arguments: str | Path, env: Mapping[str, str] | None = None, cwd: Path = ROOT, timeout_s: float = 60
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "engine", *map(str, arguments)],
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    return run


@pytest.fixture
def eventually() -> Callable[..., Any]:
    """Waits until `probe()` is true and gives its answer; fails with `what` after `within_s`."""

    def wait(probe: Callable[[], Any], what: str = "it", within_s: float = 10.0) -> Any:
        deadline = time.monotonic() + within_s
        while not (answer := probe()):
            if time.monotonic() > deadline:
                pytest.fail(f"{what} did not happen within {within_s} s")
            time.sleep(0.02)
        return answer

    return wait


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Path]:
    """A folder of the test's own, as the current one."""
    before = Path.cwd()
    os.chdir(tmp_path)
    yield tmp_path
    os.chdir(before)
