"""One cluster of its own for one trial: an embedded API, simulated machines and the engine, each a process.

The API and the machines outlive the engine, as real ones do, and keep the books. Each slot has its own
loopback addresses and folder, so several trials can run at once. Promises that whatever it started has
ended after `close`. Neighbours: `trial` drives it, `record` reads what it left.
"""

from __future__ import annotations

import shutil
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.base import control
from engine.base.kinds import Key
from engine.ports.kube.client import KubeClient
from engine.simulator.settings import CONTROL_SOCKET
from tests.crash.nursery import Child, start
from tests.crash.program import ROOT, Program

_USER = "somebody"
_VOLATILE = shutil.ignore_patterns("*.sock", "sockets", "lock", "ready.json")
FAST = 50.0


def until(what: str, test: Callable[[], Any], deadline_s: float = 30.0, pause_s: float = 0.05) -> Any:
    """Ask until the answer is true; AssertionError, naming `what`, at the deadline."""
    end = time.monotonic() + deadline_s
    while not (answer := test()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline_s:g} s: {what}")
        time.sleep(pause_s)
    return answer


def prefix(slot: int) -> str:
    """The first three numbers of the addresses of a slot's machines."""
    return f"127.0.{100 + slot}"


class World:
    """`folder` is its own; `start` has it begin from the folders `api` and `machines` of a snapshot, if there is one."""

    def __init__(self, folder: Path, slot: int, program: Program) -> None:
        self.folder = folder
        self.prefix = prefix(slot)
        self._program = program
        self._probes = f"{self.prefix}.250:8081"
        self._children: list[Child] = []
        self.engine: Child | None = None
        self.engine_module: tuple[str, ...] = ("engine",)
        self._client: KubeClient | None = None
        self.calls = {"api": [], "machines": []}

    @property
    def store(self) -> Path:
        """The database of the API."""
        return self.folder / "api" / "objects.db"

    @property
    def log(self) -> Path:
        """What the engines printed, one after the other."""
        return self.folder / "engine.log"

    def start(self, snapshot: Path | None, machines: int) -> None:
        """Start the API and the machines, and wait until they stand as the snapshot has them."""
        self.folder.mkdir(parents=True)
        for part in ("api", "machines"):
            if snapshot is not None:
                shutil.copytree(snapshot / part, self.folder / part, ignore=_VOLATILE)
            else:
                (self.folder / part).mkdir()
        self._run(
            "api.log",
            "engine.standalone",
            *(str(self.folder / "api"), "--control", str(self.folder / "api.sock")),
        )
        self._run(
            "machines.log",
            "engine",
            *("simulate", "--machines", str(machines), "--speed", str(FAST)),
            *("--first-address", f"{self.prefix}.1", "--directory", str(self.folder / "machines")),
            *("--calls", str(self.folder / "calls.jsonl")),
        )
        until("the API serves", lambda: "serving" in self._text("api.log"))
        until("the machines stand", self._stand)

    def _stand(self) -> bool:
        if not (self.folder / "machines" / "ready.json").exists():
            return False
        return all(each["ready"] or not each["configured"] for each in self.machines())

    def speed(self, factor: float) -> None:
        """Let the machines live so fast from now on."""
        self.order("machines", op="speed", factor=factor)

    def start_engine(self, *arguments: str, anew: bool = False) -> Child:
        """Start the engine on the API of this world; of flags that are given twice the last one counts."""
        self.engine = self._run(
            "engine.log",
            *self.engine_module,
            *("run", "--kubeconfig", str(self.folder / "api" / "kubeconfig")),
            *("--rules", str(self._program.rules), "--workers", "8"),
            *("--metrics-bind-address", "0", "--health-probe-bind-address", self._probes),
            *arguments,
            tested=True,
            anew=anew,
        )
        return self.engine

    def engine_works(self) -> bool:
        """Whether the engine says that it has seen everything there is."""
        try:
            with urllib.request.urlopen(f"http://{self._probes}/readyz", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def stop_engine(self, deadline_s: float = 30.0) -> int | None:
        """Ask the engine to end: its exit code, None when it does not."""
        assert self.engine is not None
        self.engine.terminate()
        return self.engine.wait(deadline_s)

    def order(self, part: str, **request: Any) -> dict[str, Any]:
        """One request over the control socket of the `api` or the `machines`; fails when it is refused."""
        place = self.folder / "api.sock" if part == "api" else self.folder / "machines" / CONTROL_SOCKET
        reply = control.order(place, request, timeout_s=20)
        assert reply["ok"], reply
        return reply

    def count(self, part: str, **kill: Any) -> None:
        """Keep the mutating calls so far and count anew, with an order to kill if one is given."""
        self.calls[part] += self.order(part, op="mutations")["mutations"]
        self.order(part, **({"op": "kill", **kill} if kill else {"op": "count"}))

    def mutations(self, part: str) -> list[dict[str, Any]]:
        """Every mutating call since the world began."""
        return [*self.calls[part], *self.order(part, op="mutations")["mutations"]]

    def machines(self) -> list[dict[str, Any]]:
        """What every machine does."""
        found: list[dict[str, Any]] = self.order("machines", op="list")["machines"]
        return found

    def apply(self, document: Mapping[str, Any]) -> None:
        """Apply an object as a user."""
        self._user().apply(self._key(document), document, manager=_USER)

    def delete(self, document: Mapping[str, Any]) -> None:
        """Delete an object as a user."""
        self._user().delete(self._key(document))

    def _key(self, document: Mapping[str, Any]) -> Key:
        kind = self._user().kind_named(document["apiVersion"], document["kind"])
        return Key(kind, "default", document["metadata"]["name"])

    def _user(self) -> KubeClient:
        if self._client is None:
            self._client = KubeClient.connect(self.folder / "api" / "kubeconfig", pool_size=1)
        return self._client

    def keep(self, snapshot: Path) -> None:
        """Stop everything and keep the state for other worlds of this slot to begin from."""
        self.close(clean=True)
        for part in ("api", "machines"):
            shutil.copytree(self.folder / part, snapshot / part, ignore=_VOLATILE)

    def close(self, *, clean: bool = False) -> None:
        """End every process; `clean` lets them say goodbye."""
        if self._client is not None:
            self._client.close()
            self._client = None
        for child in self._children:
            if child.poll() is None:
                child.terminate() if clean else child.kill()
        for child in self._children:
            child.wait(30)

    def _run(self, log: str, module: str, *arguments: str, tested: bool = False, anew: bool = False) -> Child:
        program = self._program if tested else replace(self._program, root=ROOT)
        child = start(program, module, arguments, self.folder / log, anew=anew)
        self._children.append(child)
        return child

    def _text(self, log: str) -> str:
        return (self.folder / log).read_text(errors="replace")
