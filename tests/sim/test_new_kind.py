"""A kind that one YAML file adds is reconciled and measured like any other."""

from __future__ import annotations

import urllib.request
from pathlib import Path

import pytest

from engine.base.errors import Missing
from tests.sim.shipped import QUICKSTART, ROOT, free_port, is_ready, shipped, until

pytestmark = pytest.mark.timeout(150)

RULE = Path(__file__).with_name("image-pre-pull.yaml")
IMAGE = "registry.k8s.io/pause:3.10"
OBJECT = f"""
apiVersion: example.org/v1alpha1
kind: TalosImagePrePull
metadata: {{name: pause, namespace: default}}
spec: {{image: "{IMAGE}", controlPlane: quickstart}}
"""


def test_one_yaml_file_adds_a_kind_that_is_reconciled_and_measured(tmp_path: Path) -> None:
    wish = tmp_path / "pause.yaml"
    wish.write_text(OBJECT)
    port = free_port()
    with shipped(tmp_path / "run") as run:
        run.start(
            "--simulate", "5", "--rules", str(ROOT / "rules"), "--rules", str(RULE),
            "--apply", str(QUICKSTART), "--apply", str(wish), "--metrics-bind-address", f"127.0.0.1:{port}",
        )  # fmt: skip
        client = run.client()

        def pulled() -> bool:
            try:
                kind = client.kind_named("example.org/v1alpha1", "TalosImagePrePull")
            except Missing:
                return False
            return any(is_ready(item) for page in client.list_pages(kind, "default") for item in page.items)

        until("the image is on every control plane node", pulled, deadline_s=90)
        methods = [call["machine"] for call in run.calls() if call["method"] == "machine.ImageService/Pull"]
        assert sorted(methods) == ["127.0.1.1", "127.0.1.2", "127.0.1.3"]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            text = answer.read().decode()
        assert 'talos_image_prepull_missing{namespace="default",name="pause"} 0' in text
        assert 'talos_operator_reconciliation_total{controller="talosimageprepull",result="success"}' in text
