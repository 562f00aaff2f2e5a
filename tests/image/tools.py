"""The program that runs containers here: podman, with storage of its own in `.image`, or docker.

`find()` gives one that can, or a NoTool that says why none can. Never touches images or settings of whoever runs the
tests, but for docker, whose daemon keeps everything. Neighbours: `base` fills it, `container` runs what is in it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.conftest import ROOT

FOLDER = ROOT / ".image"
"""What tests of the image keep from run to run; git does not see it."""
LIMITS = ("--ulimit=nofile=4096:4096", "--ulimit=nproc=1024:1024")
"""The defaults of podman are above what some machines let even root have."""
_EMPTY = "localhost/talos-operator-test-empty"
_NO_SUCH_COMMAND = 127


class NoTool(Exception):
    """Nothing here runs containers."""


@dataclass(frozen=True)
class Tool:
    """A way to call it: the command's first words, and what its environment has beside ours."""

    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.command[0]

    def __call__(
        self, *arguments: str | Path, code: int | None = 0, timeout_s: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Runs it to its end; asserts the exit code unless that is None."""
        done = subprocess.run(
            [*self.command, *map(str, arguments)],
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        assert code is None or done.returncode == code, f"{self.name} {arguments}: {done.stderr}{done.stdout}"
        return done


def find() -> Tool:
    """The first that starts a container here. Raises NoTool with the reasons of all."""
    reasons = []
    for tool in _candidates():
        reason = _obstacle(tool)
        if reason is None:
            return tool
        reasons.append(f"{' '.join(tool.command)}: {reason}")
    raise NoTool(
        f"nothing here runs containers ({'; '.join(reasons)}). On Debian, as root: "
        "apt-get install podman runc debootstrap. Elsewhere docker or podman, with a base image from its registry: "
        "BASE_IMAGE=docker.io/library/python:3.11-slim-bookworm"
    )


def let_go(tool: Tool) -> None:
    """Forget former builds, and unmount what podman leaves mounted, or nobody could remove the checkout."""
    if tool.name == "podman":
        tool("image", "prune", "--force", code=None)
    mounted = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text("utf-8").splitlines()]
    for place in sorted((each for each in mounted if each.startswith(f"{FOLDER}/")), reverse=True):
        subprocess.run(["umount", place], capture_output=True, check=False)  # what is still in use stays


def _candidates() -> list[Tool]:
    storage = {"CONTAINERS_STORAGE_CONF": str(_storage())}
    # What podman takes by itself need not work: crun 1.8 refuses a layout of cgroups that runc takes.
    with_runc = Tool(("podman", "--runtime", "runc"), storage)
    return [Tool(("podman",), storage), with_runc, Tool(("docker",))]


def _storage() -> Path:
    """Settings for layers that share files, or for copies where the file system cannot have those."""
    path = FOLDER / "storage.conf"
    FOLDER.mkdir(exist_ok=True)
    for driver in ("overlay", "vfs"):
        places = f'graphroot = "{FOLDER}/{driver}"\nrunroot = "{FOLDER}/{driver}-run"\n'
        path.write_text(f'[storage]\ndriver = "{driver}"\n{places}', "utf-8")
        asked = Tool(("podman",), {"CONTAINERS_STORAGE_CONF": str(path)})
        if shutil.which("podman") and asked("info", code=None).returncode == 0:
            break
    return path


def _obstacle(tool: Tool) -> str | None:
    """Why it does not start a container, in its own words; None when it does."""
    if not shutil.which(tool.name):
        return "not installed"
    archive = FOLDER / "empty.tar"
    tarfile.open(archive, "w").close()
    for arguments in (("info",), ("import", archive, _EMPTY)):
        done = tool(*arguments, code=None)
        if done.returncode:
            return _last_line(done.stderr)
    tried = tool("run", "--rm", "--network=none", *LIMITS, _EMPTY, "/nothing", code=None)
    return None if tried.returncode == _NO_SUCH_COMMAND else _last_line(tried.stderr)


def _last_line(text: str) -> str:
    return text.strip().splitlines()[-1] if text.strip() else "no reason given"
