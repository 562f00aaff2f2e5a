"""What the embedded API promises of Kubernetes is what a real API server does: the same tests pass on both."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conformance.kubectl import Kubectl
from tests.kube.controlplane import ControlPlane
from tests.sim.shipped import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.kube, pytest.mark.timeout(300)]

SUITE = ROOT / "tests" / "conformance"


def test_the_conformance_suite_of_the_embedded_api_passes_on_a_real_one(
    programs: Path, tmp_path: Path
) -> None:
    plane = ControlPlane(programs, tmp_path / "kube")
    try:
        plane.start()
        # Kinds before controllers: the garbage collector looks for new ones every half minute only.
        kubectl = Kubectl(programs / "kubectl", plane.kubeconfig, tmp_path)
        kubectl("apply", "-f", str(SUITE / "widgets.yaml"))
        plane.start_controllers()
        path = f"{programs}:{os.environ['PATH']}"
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", str(SUITE)],
            env={**os.environ, "CONFORMANCE_KUBECONFIG": str(plane.kubeconfig), "PATH": path},
            cwd=ROOT, capture_output=True, text=True, timeout=240, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-6000:]
        assert " passed" in done.stdout
    finally:
        plane.stop()
