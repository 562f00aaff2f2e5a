"""Bare machines become a Ready cluster, by the shipped program and the shipped rules."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.sim.shipped import QUICKSTART, is_ready, shipped, until

pytestmark = pytest.mark.timeout(150)

WATCH = "cosi.resource.State/Watch"
CHANGES = ("machine.MachineService/Bootstrap", "machine.MachineService/ApplyConfiguration")


def is_cut(call: Mapping[str, Any]) -> bool:
    """Whether only its connection ended: with the engine, or with a machine that starts anew while it is read or watched."""
    if call["method"] == WATCH:
        return call["code"] in {"CANCELLED", "UNAVAILABLE"}
    return call["code"] == "CANCELLED" and call["method"] not in CHANGES


def test_five_bare_machines_become_a_ready_cluster_with_one_bootstrap(tmp_path: Path) -> None:
    with shipped(tmp_path / "run") as run:
        run.start("--simulate", "5", "--apply", str(QUICKSTART), "--until-ready", "60s")
        assert run.wait() == 0, run.log()
        methods = Counter(call["method"] for call in run.calls())
        failed = [call for call in run.calls() if call["code"] != "OK" and not is_cut(call)]
        assert methods["machine.MachineService/Bootstrap"] == 1
        assert methods["machine.MachineService/ApplyConfiguration"] == 5
        assert failed == []


@pytest.mark.slow
def test_a_cluster_that_cannot_become_ready_ends_with_the_reasons(tmp_path: Path) -> None:
    with shipped(tmp_path / "run") as run:
        run.start("--simulate", "3", "--apply", str(QUICKSTART), "--until-ready", "8s")
        assert run.wait(60) == 1
        assert "not ready: TalosCluster default/quickstart" in run.log()


@pytest.mark.slow
def test_a_ready_cluster_is_found_again_after_a_clean_stop(tmp_path: Path) -> None:
    with shipped(tmp_path / "run") as run:
        run.start("--simulate", "5", "--apply", str(QUICKSTART), "--until-ready", "60s")
        assert run.wait() == 0, run.log()
        before = Counter(call["method"] for call in run.calls())
        run.start("--simulate", "5", "--apply", str(QUICKSTART), "--until-ready", "60s")
        assert run.wait() == 0, run.log()
        after = Counter(call["method"] for call in run.calls())
        assert [after[method] for method in CHANGES] == [before[method] for method in CHANGES]


@pytest.mark.slow
def test_at_rest_nothing_is_written(tmp_path: Path) -> None:
    with shipped(tmp_path / "run") as run:
        run.start("--simulate", "5", "--apply", str(QUICKSTART))
        client = run.client()
        until(
            "the cluster is ready",
            lambda: (
                all(map(is_ready, run.all_of(client, "TalosCluster"))) and run.all_of(client, "TalosCluster")
            ),
        )

        def versions() -> dict[str, str]:
            kinds = ("TalosCluster", "TalosControlPlane", "TalosWorker", "TalosMachine")
            items = [item for kind in kinds for item in run.all_of(client, kind)]
            items += run.all_of(client, "Secret", "v1") + run.all_of(client, "ConfigMap", "v1")
            return {item["metadata"]["uid"]: item["metadata"]["resourceVersion"] for item in items}

        def reads() -> int:
            return sum(call["method"].endswith("/ServiceList") for call in run.calls())

        # Rest begins once nothing has changed for three seconds; two whole rounds of looks then pass.
        settled, since = versions(), time.monotonic()

        def has_settled() -> bool:
            nonlocal settled, since
            seen = versions()
            if seen != settled:
                settled, since = seen, time.monotonic()
            return time.monotonic() - since > 3

        until("nothing changes any more", has_settled, deadline_s=30)
        rounds = reads()
        until("every machine was looked at twice more", lambda: reads() >= rounds + 10, deadline_s=140)
        assert versions() == settled
