"""`meddle`: what a person does to simulated machines, and what is told when it cannot be done."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.cli.program import execute
from tests.sim.shipped import until

Meddle = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of two machines, deeper than the address of a socket may be long."""
    folder = tmp_path_factory.mktemp("machines") / ("deep" * 30)
    folder.mkdir()
    flags = ("--machines", "2", "--first-address", "127.33.7.1", "--directory", str(folder))
    process = subprocess.Popen(
        [sys.executable, "-m", "engine", "simulate", *flags], stdout=subprocess.DEVNULL
    )
    try:
        until("the machines are there", (folder / "ready.json").exists)
        yield folder
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture
def meddle(machines: Path, capsys: pytest.CaptureFixture[str]) -> Meddle:
    """Calls the command: exit code, output, errors."""

    def call(*words: str) -> tuple[int, str, str]:
        code = execute(["meddle", "--directory", str(machines), *words])
        return code, *capsys.readouterr()

    return call


def states(meddle: Meddle) -> dict[str, bool]:
    code, output, _ = meddle("list")
    assert code == 0
    return {each["address"]: each["powered"] for each in json.loads(output)["machines"]}


def test_power_is_cut_and_restored_on_the_machine_that_is_named(meddle: Meddle):
    assert meddle("power-off", "127.33.7.2") == (0, "done\n", "")
    assert states(meddle) == {"127.33.7.1": True, "127.33.7.2": False}
    assert meddle("power-on", "*")[0] == 0
    assert states(meddle) == {"127.33.7.1": True, "127.33.7.2": True}


def test_values_are_read_as_yaml(meddle: Meddle):
    assert meddle("disks", "127.33.7.1", "disks=[nvme0n1:100, sr0]") == (0, "done\n", "")
    code, _, told = meddle("speed", "factor=0")
    assert code == 2
    assert "factor" in told


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["explode", "127.33.7.1"], "there is no operation 'explode'"),
        (["power-off", "127.33.7.9"], "there is no machine '127.33.7.9'"),
        (["power-off"], "the request does not say 'machine'"),
        (["power-off", "127.33.7.1", "127.33.7.2"], "machine is said twice"),
        (["put", "127.33.7.1", "key=[a"], "'key=[a': the value is no YAML"),
    ],
)
def test_what_is_not_understood_is_told_and_nothing_is_done(meddle: Meddle, words: list[str], told: str):
    before = states(meddle)
    code, output, error = meddle(*words)
    assert (code, output) == (2, "")
    assert told in error
    assert "hint:" in error
    assert states(meddle) == before


def test_where_no_simulator_is_the_folder_and_what_to_start_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    for folder in (tmp_path, tmp_path / "nowhere"):
        assert execute(["meddle", "--directory", str(folder), "list"]) == 1
        told = capsys.readouterr().err
        assert "no simulated machines are there: no such file or directory" in told
        assert f"in {folder}" in told
        assert "make run" in told
