"""`make image` builds with a tool that works, and says of each that does not what is wrong with it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

import pytest

from engine import __version__
from tests.contract.sources import ROOT

NEEDED = ("bash", "dirname", "sed", "git")


@pytest.fixture
def build(tmp_path):
    """Runs config/build-image where there is nothing but the given tools, each a script."""

    def run(tools, *arguments, **environment):
        folder = tmp_path / "bin"
        folder.mkdir()
        for name in NEEDED:
            (folder / name).symlink_to(shutil.which(name))
        for name, script in tools.items():
            (folder / name).write_text(f"#!{shutil.which('bash')}\n{script}\n")
            (folder / name).chmod(0o755)
        return subprocess.run(
            [ROOT / "config" / "build-image", *arguments],
            env={"PATH": str(folder), **environment},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    return run


WORKS = 'test "$1" = info || { echo "$BUILDAH_ISOLATION"; printf "%s\\n" "$@"; }'


def test_the_first_tool_that_works_is_taken_and_told_what_to_build(build):
    done = build({"docker": "echo no daemon >&2; exit 1", "podman": WORKS}, "name:tag", BASE_IMAGE="base:1")
    assert done.returncode == 0, done.stderr
    told, isolation, verb, *arguments = done.stdout.splitlines()
    assert (told, isolation, verb, arguments[-1]) == ("building name:tag with podman", "chroot", "build", ".")
    assert arguments[arguments.index("--tag") + 1] == "name:tag"
    assert {"BASE_IMAGE=base:1", f"VERSION={__version__}"} <= set(arguments)
    assert any(re.fullmatch(r"REVISION=[0-9a-f]{40}(-modified)?", each) for each in arguments)
    assert arguments[arguments.index("--timestamp") + 1].isdecimal()


def test_a_date_from_outside_holds_for_docker_too(build):
    done = build({"docker": WORKS}, SOURCE_DATE_EPOCH="1700000000")
    assert done.returncode == 0, done.stderr
    assert "SOURCE_DATE_EPOCH=1700000000" in done.stdout.splitlines()
    assert "talos-operator:latest" in done.stdout.splitlines()


def test_one_tool_can_be_asked_for(build):
    done = build({"buildah": WORKS, "podman": WORKS}, BUILDER="podman")
    assert done.stdout.startswith("building talos-operator:latest with podman\n")


def test_where_none_works_each_says_why(build):
    done = build({"docker": "echo Cannot reach the daemon >&2; exit 1"})
    assert done.returncode == 1
    assert done.stderr == (
        "error: nothing here builds images; install buildah, docker or podman\n"
        "  buildah: not installed\n  docker: Cannot reach the daemon\n  podman: not installed\n"
    )


def test_the_image_has_everything_that_the_wheel_is_made_of():
    """Read from both files, for a build takes minutes."""
    text = (ROOT / "Dockerfile").read_text("utf-8")
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    copied = {
        name for line in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.MULTILINE) for name in line.split()
    }
    for folder in ("engine", "rules", "schemas", "grafana", "alerting"):
        assert folder in copied
        assert f"!{folder}" in ignored
    assert os.access(ROOT / "config" / "build-image", os.X_OK)
