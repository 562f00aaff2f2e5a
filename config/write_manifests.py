"""Writes the parts of config/ that follow from schemas and rules, and dist/install.yaml where kubectl is there.

`python config/write_manifests.py` writes, `make manifests` calls it; tests/contract/test_manifests.py fails when a file
says something else than what it follows from.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from engine.base.assets import asset
from engine.base.yamltext import dump
from engine.cli.rbac import cluster_role

ROOT = Path(__file__).resolve().parents[1]
MOUNT = "/etc/talos-operator/rules"
_WRITTEN = "# Written by `make manifests`: edit what it follows from, not this file.\n"


def generated() -> Mapping[str, str]:
    """Path below the root -> text, of everything but dist/install.yaml."""
    files = {
        f"config/crd/bases/{path.name}": path.read_text("utf-8")
        for path in sorted((asset("schemas") / "crds").glob("*.yaml"))
    }
    files["config/rbac/role.yaml"] = _WRITTEN + dump(cluster_role((asset("rules"),), "manager-role"))
    files["config/components/rules/patch.yaml"] = _WRITTEN + dump(_rules_patch())
    # kustomize takes no file from outside its folder.
    files["config/samples/taloscluster.yaml"] = (ROOT / "examples" / "quickstart.yaml").read_text("utf-8")
    return files


def install(kubectl: str) -> str:
    """dist/install.yaml: config/default in one file."""
    command = [kubectl, "kustomize", str(ROOT / "config" / "default")]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return _WRITTEN + text


def _rules_patch() -> list[dict[str, Any]]:
    """A ConfigMap has no folders: each key says where its file stands, with dots for slashes.

    Optional, so that who leaves a file out gets what the engine says of it, and not a pod that never starts.
    """
    items = [{"key": name.replace("/", "."), "path": name} for name in _rule_files()]
    volume = {
        "name": "rules",
        "configMap": {"name": "talos-operator-rules", "optional": True, "items": items},
    }
    container = "/spec/template/spec/containers/0"
    mount = {"name": "rules", "mountPath": MOUNT, "readOnly": True}
    return [
        {"op": "add", "path": f"{container}/args/-", "value": f"--rules={MOUNT}"},
        {"op": "add", "path": f"{container}/volumeMounts/-", "value": mount},
        {"op": "add", "path": "/spec/template/spec/volumes/-", "value": volume},
    ]


def _rule_files() -> Iterator[str]:
    rules = asset("rules")
    for path in sorted(rules.rglob("*.yaml")):
        name = path.relative_to(rules).as_posix()
        if not name.startswith("tests/"):
            yield name


def main() -> int:
    """Write everything; kubectl is the first argument, and left out dist/install.yaml stays as it is."""
    files = dict(generated())
    for name, text in files.items():
        _write(name, text)
    if len(sys.argv) > 1:
        _write("dist/install.yaml", install(sys.argv[1]))
    return 0


def _write(name: str, text: str) -> None:
    path = ROOT / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


if __name__ == "__main__":
    sys.exit(main())
