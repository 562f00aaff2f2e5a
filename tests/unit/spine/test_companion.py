"""The process beside the engine: found again, started anew, ended; never somebody else's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from engine.base.errors import SettingsError
from engine.companion import Companion
from tests.unit.spine.server import until

PROGRAM = """#!{python}
import pathlib, sys, time
given = dict(zip(sys.argv[4::2], sys.argv[5::2]))
print("the simulator speaks", flush=True)
if given["--machines"] == "13":
    sys.exit("too many machines")
(pathlib.Path(given["--directory"]) / "ready.json").write_text("[]")
time.sleep(60)
"""


@pytest.fixture(autouse=True)
def _program(tmp_path, monkeypatch):
    """In place of the simulator a program with its arguments and its files."""
    program = tmp_path / "python"
    program.write_text(PROGRAM.format(python=sys.executable))
    program.chmod(0o700)
    monkeypatch.setattr("engine.companion.sys.executable", str(program))


@pytest.fixture
def companion(tmp_path):
    made = Companion(tmp_path / "run", 2)
    made.folder.mkdir()
    yield made
    made.stop()


def pid_of(companion):
    return json.loads((companion.folder / "simulator.pid").read_text())["pid"]


def runs(pid):
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_it_is_started_and_ended(companion):
    assert companion.start() is False
    pid = pid_of(companion)
    assert runs(pid)
    companion.stop()
    assert not runs(pid)
    assert not (companion.folder / "simulator.pid").exists()


def test_it_outlives_a_killed_engine_and_the_next_one_finds_it(companion):
    companion.start()
    pid = pid_of(companion)
    assert Companion(companion.folder, 2).start() is True
    assert pid_of(companion) == pid


def test_with_another_number_of_machines_it_is_started_anew(companion):
    companion.start()
    pid = pid_of(companion)
    other = Companion(companion.folder, 3)
    try:
        assert other.start() is False
        assert pid_of(companion) != pid
        assert not runs(pid)
    finally:
        other.stop()


def test_one_that_died_is_started_anew(companion):
    companion.start()
    pid = pid_of(companion)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    assert companion.start() is False
    assert pid_of(companion) != pid


@pytest.mark.parametrize(
    "record", ["", "[]", "{}", '{"pid": "x"}', '{"pid": 999999999, "machines": 2}', "null"]
)
def test_a_record_that_makes_no_sense_is_taken_for_none(companion, record):
    (companion.folder / "simulator.pid").write_text(record)
    assert companion.start() is False


def test_a_process_that_only_has_the_number_is_never_touched(companion):
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        (companion.folder / "simulator.pid").write_text(json.dumps({"pid": stranger.pid, "machines": 2}))
        companion.stop()
        assert stranger.poll() is None
        (companion.folder / "simulator.pid").write_text(json.dumps({"pid": stranger.pid, "machines": 2}))
        assert companion.start() is False
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_the_simulator_of_another_folder_is_never_touched(companion, tmp_path):
    other = Companion(tmp_path / "other", 2)
    other.folder.mkdir()
    other.start()
    try:
        record = (other.folder / "simulator.pid").read_text()
        (companion.folder / "simulator.pid").write_text(record)
        companion.stop()
        assert runs(pid_of(other))
    finally:
        other.stop()


def test_one_that_does_not_come_up_is_an_error_with_what_it_says(companion):
    with pytest.raises(SettingsError, match="too many machines"):
        Companion(companion.folder, 13).start()


def test_one_that_takes_too_long_is_ended_with_the_error(companion, monkeypatch):
    monkeypatch.setattr("engine.companion._START_TIMEOUT_S", 0.0)
    started = []
    real = subprocess.Popen

    def popen(*args, **more):
        started.append(real(*args, **more))
        return started[-1]

    monkeypatch.setattr("engine.companion.subprocess.Popen", popen)
    with pytest.raises(SettingsError):
        companion.start()
    until("it is ended", lambda: started[0].poll() is not None)


def test_one_that_is_still_starting_is_waited_for(companion):
    companion.start()
    ready = companion.folder / "machines" / "ready.json"
    ready.unlink()
    began = time.monotonic()
    threading.Timer(0.2, lambda: ready.write_text("[]")).start()
    assert companion.start() is True
    assert time.monotonic() - began >= 0.15
