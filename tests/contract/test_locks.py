"""What is installed is what was locked: exact versions, each with hashes, from nowhere in particular."""

from __future__ import annotations

import re

import pytest

from tests.contract.sources import ROOT, project

PIN = re.compile(
    r"^([a-z0-9._-]+)==(\S+)((?: \\\n +--hash=sha256:[0-9a-f]{64})*)", re.MULTILINE | re.IGNORECASE
)


def pins(name: str) -> dict[str, tuple[str, int]]:
    text = (ROOT / "requirements" / f"{name}.txt").read_text("utf-8")
    return {found[1].lower(): (found[2], found[3].count("sha256:")) for found in PIN.finditer(text)}


def wanted(requirements: list[str]) -> set[str]:
    return {re.split(r"[<>=~!\[; ]", each)[0].lower() for each in requirements}


@pytest.mark.parametrize("name", ["runtime", "dev"])
def test_every_line_is_pinned_and_hashed(name):
    lines = (ROOT / "requirements" / f"{name}.txt").read_text("utf-8").splitlines()
    named = [line for line in lines if line and not line.startswith((" ", "#"))]
    assert len(named) == len(pins(name)) > 10
    assert [pin for pin, (_, hashes) in pins(name).items() if hashes == 0] == []


@pytest.mark.parametrize("name", ["runtime", "dev"])
def test_no_lock_names_a_host_or_a_folder(name):
    text = (ROOT / "requirements" / f"{name}.txt").read_text("utf-8")
    assert "://" not in text
    assert "--find-links" not in text
    assert "-index-url" not in text


def test_the_locks_hold_what_the_project_declares():
    assert wanted(project()["project"]["dependencies"]) <= set(pins("runtime"))
    assert wanted(project()["project"]["optional-dependencies"]["dev"]) <= set(pins("dev"))


def test_an_image_has_every_extra_and_the_tests_have_them_too():
    extras = project()["project"]["optional-dependencies"]
    users = wanted([each for name, needed in extras.items() if name != "dev" for each in needed])
    assert users
    assert users <= set(pins("runtime")) & set(pins("dev"))


def test_tests_run_with_the_versions_that_users_get():
    runtime, dev = pins("runtime"), pins("dev")
    assert {name: dev.get(name, ("absent", 0))[0] for name in runtime} == {
        n: v for n, (v, _) in runtime.items()
    }
