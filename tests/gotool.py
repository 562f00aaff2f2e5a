"""Builds the Go programs that judge us by other people's libraries; skips their tests where that cannot be done.

Neighbours: the tests with the marker `go`, each of which has its program in its own folder.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest


def built(source: Path, program: Path) -> str:
    """The path of the program, built of the module in `source`. Skips where Go or its modules cannot be had."""
    if shutil.which("go") is None:
        pytest.skip("go is not installed")
    done = subprocess.run(
        ["go", "build", "-o", str(program), "."],
        cwd=source,
        env={**os.environ, "GOTOOLCHAIN": "local"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode and any(sign in done.stderr for sign in ("dial tcp", "no such host", "timeout")):
        pytest.skip("the Go modules cannot be downloaded here")
    assert done.returncode == 0, done.stderr
    return str(program)
