"""A process that has lost its lease ends at once, whatever its threads and its log are doing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT

PROGRAM = """
import atexit, pathlib, sys, threading, time
from engine import process
from engine.base.log import configure
configure("text")
atexit.register(lambda: pathlib.Path(sys.argv[1]).touch())
threading.Thread(target=time.sleep, args=(60,)).start()
for _ in range(int(sys.argv[2])):
    sys.stderr.write("x" * 1024)
sys.stderr.flush()
try:
    process.end_at_once("lost the lease")
finally:
    pathlib.Path(sys.argv[1]).touch()
"""


def ended(hook: Path, kilobytes: int) -> tuple[int, bytes]:
    """Exit code and what came through a pipe that nobody reads before the end."""
    read, write = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(hook), str(kilobytes)],
        stderr=write, stdin=subprocess.DEVNULL, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    os.close(write)
    try:
        return process.wait(20), os.read(read, 1 << 20)
    finally:
        process.kill()
        os.close(read)


def test_it_says_why_and_ends_with_1_while_threads_run_and_without_any_hook(tmp_path):
    code, said = ended(tmp_path / "hook", 0)
    assert code == 1
    assert said.endswith(b"ERROR process: lost the lease; ends at once\n")
    assert not (tmp_path / "hook").exists()


def test_a_log_that_nobody_takes_does_not_hold_it_up(tmp_path):
    code, said = ended(tmp_path / "hook", 64)
    assert (code, len(said)) == (1, 65536)
    assert not (tmp_path / "hook").exists()
