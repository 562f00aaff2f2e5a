"""Builds the program that asks Talos's own library; skips the tests where Go or its modules cannot be had."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def built(folders: pytest.TempPathFactory) -> str:
    """The path of the built program."""
    if shutil.which("go") is None:
        pytest.skip("go is not installed")
    program = folders.mktemp("talos-model") / "talos-model"
    done = subprocess.run(
        ["go", "build", "-o", str(program), "."],
        cwd=HERE,
        env={**os.environ, "GOTOOLCHAIN": "local"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode and any(sign in done.stderr for sign in ("dial tcp", "no such host", "timeout")):
        pytest.skip("the Go modules cannot be downloaded here")
    assert done.returncode == 0, done.stderr
    return str(program)
