"""Builds a real etcd, kube-apiserver, kube-controller-manager and kubectl of their Go modules, once for each version.

`python -m tests.kube.programs` builds, which takes a quarter of an hour the first time and seconds later; tests only
look. What was built lies outside the clone, under a name that says of what: go.mod, go.sum, flags and Go's version.
Neighbour: `controlplane` runs them.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "talos-operator"
PROGRAMS = {
    "etcd": "go.etcd.io/etcd/server/v3",
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
    "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
    "kubectl": "k8s.io/kubernetes/cmd/kubectl",
}
_ENVIRONMENT = {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly -buildvcs=false", "GOTOOLCHAIN": "local"}


def place() -> Path:
    """The folder of what this go.mod makes; it need not be there."""
    version = subprocess.run(["go", "version"], capture_output=True, check=True).stdout
    parts = [(HERE / "go.mod").read_bytes(), (HERE / "go.sum").read_bytes(), version, repr(_flags()).encode()]
    return CACHE / f"kube-{hashlib.sha256(b'|'.join(parts)).hexdigest()[:16]}"


def found() -> Path | None:
    """The folder with all of them, None where they were not built."""
    try:
        folder = place()
    except (OSError, subprocess.CalledProcessError):
        return None
    return folder if all((folder / name).exists() for name in PROGRAMS) else None


def build() -> Path:
    """Build what is missing, one after the other; raises CalledProcessError when one cannot be built."""
    folder = place()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for name, package in PROGRAMS.items():
            if not (folder / name).exists():
                unfinished = folder / f"{name}.unfinished"
                command = ["go", "build", "-trimpath", "-ldflags", _flags(), "-o", str(unfinished), package]
                print(f"building {name}", flush=True)
                subprocess.run(command, cwd=HERE, env={**os.environ, **_ENVIRONMENT}, check=True)
                unfinished.replace(folder / name)
    return folder


def _flags() -> str:
    """Without a version of its own the server would call itself v0.0.0-master+$Format:%H$."""
    text = (HERE / "go.mod").read_text()
    match = re.search(r"^\tk8s\.io/kubernetes (v\S+)", text, re.MULTILINE)
    assert match, "go.mod requires no k8s.io/kubernetes"
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return " ".join(["-s -w", *(f"-X {package}.gitVersion={match[1]}" for package in packages)])


if __name__ == "__main__":
    try:
        print(build())
    except FileNotFoundError:
        sys.exit("error: go is not installed")
    except subprocess.CalledProcessError as error:
        sys.exit(f"error: {error}")
