"""A base image like the one that the Dockerfile names, made of Debian's packages where no registry of images is reached.

BASE_IMAGE in the environment takes its place. It holds what pip is told on this machine (an index, a certificate
authority), so that the Dockerfile needs to know nothing of it. Made once and kept. Neighbours: `tools` keeps it.
"""

from __future__ import annotations

import configparser
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from tests.conftest import ROOT
from tests.image.tools import FOLDER, NoTool, Tool

_PACKAGES = "python3,python3-venv"
_CARRIED = ("index-url", "extra-index-url", "trusted-host", "proxy")
_AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"


def base_image(tool: Tool) -> str:
    """The name of a base image that `tool` has, or can get. Raises NoTool where none can be made."""
    given = os.environ.get("BASE_IMAGE")
    if given:
        return given
    suite = _suite()
    settings = _pip_settings()
    made_of = json.dumps([suite, _PACKAGES, Path(__file__).read_text("utf-8"), sorted(settings.items())])
    name = f"localhost/talos-operator-test-base:{hashlib.sha256(made_of.encode()).hexdigest()[:12]}"
    if tool("image", "inspect", name, code=None).returncode:
        archive = _archive(suite, settings)
        tool("import", archive, name, timeout_s=200)
        archive.unlink()
    return name


def _suite() -> str:
    """That of the Dockerfile's base, `bookworm` for example, so that Python is of the same minor version."""
    text = (ROOT / "Dockerfile").read_text("utf-8")
    found = re.search(r"^ARG BASE_IMAGE=\S+-slim-([a-z]+)$", text, re.MULTILINE)
    assert found, "the Dockerfile's base is no Debian"
    return found[1]


def _archive(suite: str, settings: dict[str, str]) -> Path:
    if not shutil.which("debootstrap") or os.getuid():
        raise NoTool(
            "no base image: debootstrap is not installed, or this is not root. Install it (Debian: apt-get install "
            "debootstrap), or name an image with Python: BASE_IMAGE=docker.io/library/python:3.11-slim-bookworm"
        )
    root = FOLDER / "base"
    shutil.rmtree(root, ignore_errors=True)
    command = ["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", suite, str(root)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
    if done.returncode:
        raise NoTool(f"no base image: {' '.join(command)} failed: {(done.stdout + done.stderr)[-500:]}")
    # As images of Python are: without compiled files, and without what apt has left.
    for path in [*root.rglob("*.pyc"), *root.glob("var/cache/apt/**/*.*"), *root.glob("var/lib/apt/lists/*")]:
        if path.is_file():
            path.unlink()
    _tell_pip(root, settings)
    packed = FOLDER / "base.tar"
    with tarfile.open(packed, "w") as archive:
        archive.add(root, arcname=".")
    shutil.rmtree(root)
    return packed


def _tell_pip(root: Path, settings: dict[str, str]) -> None:
    told = configparser.ConfigParser(interpolation=None)
    told["global"] = settings
    if "cert" in settings:
        told["global"]["cert"] = _AUTHORITIES
        place = root / _AUTHORITIES.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(settings["cert"], place)
    with (root / "etc" / "pip.conf").open("w", encoding="utf-8") as file:
        told.write(file)


def _pip_settings() -> dict[str, str]:
    """What pip is told here that a build needs as well."""
    told = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    found = {}
    for line in told.splitlines():
        key, _, value = line.partition("=")
        name = key.rpartition(".")[2]
        if name in {*_CARRIED, "cert"}:
            found[name] = value.strip("'")
    return found
