"""A kind that one YAML file brings, on a real API server: its role, its definition, its objects."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.kube.deployed import deployed
from tests.sim.cluster import NAME, quickstart
from tests.sim.shipped import ROOT, until
from tests.sim.test_new_kind import OBJECT, RULE

pytestmark = [pytest.mark.slow, pytest.mark.kube, pytest.mark.timeout(180)]

RULES = (str(ROOT / "rules"), str(RULE))


def test_a_kind_of_ones_own_is_served_and_reconciled_with_the_role_worked_out_from_its_rule(
    programs: Path, tmp_path: Path
) -> None:
    with deployed(programs, tmp_path / "kube", machines=4) as (world, cluster):
        command = [sys.executable, "-m", "engine", "rbac", *RULES]
        role = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        world.kubectl("apply", "-f", "-", given=role)
        world.engine(*(f"--rules={each}" for each in RULES))
        cluster.apply(quickstart(1, 1))
        until(
            "the kind is served", lambda: "talosimageprepulls" in world.kubectl("api-resources", "-o", "name")
        )
        world.kubectl("apply", "--validate=strict", "-f", "-", given=OBJECT)
        world.kubectl("wait", "--for=condition=Ready", "talosimageprepull", "pause", "--timeout=90s")
        assert cluster.calls("machine.ImageService/Pull") == ["127.0.1.1"]
        assert world.refused() == []
        world.kubectl("delete", "talosimageprepull", "pause", "--timeout=30s")
        world.kubectl("delete", "taloscluster", NAME, "--timeout=90s")
