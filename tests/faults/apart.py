"""The embedded API, the machines and the engine as three processes, so that each can be meddled with alone.

Promises that all of them are ended afterwards. Neighbours: `stale_proxy` may stand between engine and API;
`tests.sim` has the questions that a test asks of the world.
"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path

from tests.sim.cluster import Cluster
from tests.sim.shipped import ROOT, Shipped, until

MACHINES = ("127.0.1.1", "127.0.1.4")
"""Those of `quickstart(1, 1)`."""
_SPEED = 4


class Apart(Shipped):
    """One folder with the state of the API and of the machines."""

    @contextmanager
    def up(self, way: Callable[[Path], AbstractContextManager[Path]] = nullcontext) -> Iterator[Cluster]:
        """All three. `way` makes the kubeconfig that the engine uses out of that of the API."""
        with ExitStack() as stack:
            self._run(stack, "engine.standalone", str(self.folder))
            machines = self._simulate(stack, 4, _SPEED)
            cluster = Cluster(self)
            stack.callback(self.close)
            until("the machines are there", machines.exists)
            kubeconfig = stack.enter_context(way(self.folder / "kubeconfig"))
            nowhere = ("--metrics-bind-address", "0", "--health-probe-bind-address", "0")
            self._run(stack, "engine", "run", "--kubeconfig", str(kubeconfig), *nowhere)
            yield cluster

    def accepted(self, method: str) -> Counter[str]:
        """How often each machine carried out a call."""
        calls = self.calls()
        return Counter(call["machine"] for call in calls if (call["method"], call["code"]) == (method, "OK"))

    def _simulate(self, stack: ExitStack, count: int, speed: int) -> Path:
        """Start so many machines, from 127.0.1.1 on; they are there once the file is that is given."""
        machines = self.folder / "machines"
        places = ("--directory", str(machines), "--calls", str(self.folder / "calls.jsonl"))
        self._run(stack, "engine", "simulate", "--machines", str(count), "--speed", str(speed), *places)
        return machines / "ready.json"

    def _run(self, stack: ExitStack, *command: str) -> None:
        log = stack.enter_context(self.output.open("ab"))
        process = subprocess.Popen(
            [sys.executable, "-m", *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=ROOT
        )
        stack.callback(process.wait)
        stack.callback(process.terminate)


@contextmanager
def apart(
    folder: Path, told: str, way: Callable[[Path], AbstractContextManager[Path]] = nullcontext
) -> Iterator[tuple[Apart, Cluster]]:
    """A run in a new folder; what fails in the block is told with `told` and the end of the log."""
    folder.mkdir(mode=0o700)
    run = Apart(folder)
    try:
        with run.up(way) as cluster:
            yield run, cluster
    except Exception as error:
        raise AssertionError(f"{told}\n{error}\n{run.log()}") from error
