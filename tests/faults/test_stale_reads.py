"""An API server that answers out of the past: nothing is done twice and everything ends well all the same.

Each run brings a small cluster up, changes it and deletes it, while a share of the engine's reads of objects
and lists is 1, 5 or 50 versions old. TALOS_OPERATOR_TEST_SEED replays, TALOS_OPERATOR_TEST_RUNS repeats.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.faults.stale_proxy import Past, StaleProxy, lagging
from tests.sim.cluster import APPLY, BOOTSTRAP, NAME, RESET, Cluster, patched, quickstart
from tests.sim.shipped import ROOT, Shipped, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SEED = int(os.environ.get("TALOS_OPERATOR_TEST_SEED", "20261128"))
RUNS = int(os.environ.get("TALOS_OPERATOR_TEST_RUNS", "2"))
SHARE = 0.1
MACHINES = ("127.0.1.1", "127.0.1.4")


class Lagging(Shipped):
    """The embedded API, the machines and the engine as three processes; the engine reads through a StaleProxy."""

    @contextmanager
    def up(self, past: Past) -> Iterator[tuple[Cluster, StaleProxy]]:
        """All of them, ended afterwards."""
        with ExitStack() as stack:
            self._run(stack, "engine.standalone", str(self.folder))
            machines = self.folder / "machines"
            arguments = ("--directory", str(machines), "--calls", str(self.folder / "calls.jsonl"))
            self._run(stack, "engine", "simulate", "--machines", "4", "--speed", "4", *arguments)
            cluster = Cluster(self)
            stack.callback(self.close)
            until("the machines are there", (machines / "ready.json").exists)
            proxy = stack.enter_context(lagging(self.folder / "kubeconfig", past))
            nowhere = ("--metrics-bind-address", "0", "--health-probe-bind-address", "0")
            self._run(stack, "engine", "run", "--kubeconfig", str(proxy.kubeconfig), *nowhere)
            yield cluster, proxy

    def _run(self, stack: ExitStack, *command: str) -> None:
        log = stack.enter_context(self.output.open("ab"))
        process = subprocess.Popen(
            [sys.executable, "-m", *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=ROOT
        )
        stack.callback(process.wait)
        stack.callback(process.terminate)


def _accepted(run: Shipped, method: str) -> Counter[str]:
    return Counter(
        call["machine"] for call in run.calls() if call["method"] == method and call["code"] == "OK"
    )


def _lived(cluster: Cluster) -> None:
    """Bring up, change, delete."""
    document = quickstart(1, 1)
    cluster.apply(document)
    cluster.ready()
    boots = _each(cluster, "boot_id")
    cluster.apply(patched(document, {"machine": {"env": {"GREETING": "hello"}}}))
    until("both were started again", lambda: not set(_each(cluster, "boot_id")) & set(boots))
    cluster.ready()
    cluster.delete("TalosCluster", NAME)
    cluster.gone("TalosCluster", NAME)
    until("the disks are empty", lambda: set(_each(cluster, "stage")) == {"maintenance"})


def _each(cluster: Cluster, what: str) -> list[str]:
    machines = cluster.run.machines()
    return [machines[address][what] for address in MACHINES]


def test_nothing_is_done_twice_when_reads_are_old(tmp_path: Path) -> None:
    draw = random.Random(SEED)
    for index in range(RUNS):
        seed = draw.randrange(1 << 32)
        told = f"run {index}; replay with TALOS_OPERATOR_TEST_SEED={SEED} TALOS_OPERATOR_TEST_RUNS={RUNS}"
        folder = tmp_path / f"run-{index}"
        folder.mkdir(mode=0o700)
        run = Lagging(folder)
        past = Past(random.Random(seed), SHARE)
        try:
            with run.up(past) as (cluster, _):
                _lived(cluster)
        except Exception as error:
            raise AssertionError(f"{told}\n{run.log()}") from error
        sys.stdout.write(f"{told}: {past.stale} of {past.answered} reads were old\n")
        assert past.stale > 0, told
        assert sum(_accepted(run, BOOTSTRAP).values()) == 1, told
        once = Counter(MACHINES)
        assert _accepted(run, APPLY) == once + once, told
        assert _accepted(run, RESET) == once, told
