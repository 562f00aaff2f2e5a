"""The shipped program as a test drives it: the installed command in a process of its own.

Promises that whatever it started is ended with the test, simulated machines included. Neighbours:
the tests of `sim` and `faults`.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine.base import control
from engine.base.errors import Missing, RemoteError, SettingsError
from engine.base.kinds import Key
from engine.ports.kube.client import KubeClient
from engine.simulator.settings import CONTROL_SOCKET

ROOT = Path(__file__).resolve().parents[2]
QUICKSTART = ROOT / "examples" / "quickstart.yaml"
API = "talos.alperen.cloud/v1alpha1"


def until(what: str, test: Callable[[], Any], *, deadline_s: float = 60.0) -> Any:
    """Ask `test` until it gives something true; fails, naming `what`, at the deadline."""
    end = time.monotonic() + deadline_s
    while True:
        answer = test()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline_s:g} s: {what}")
        time.sleep(0.05)


def free_port() -> int:
    """A port of this machine that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Shipped:
    """`talos-operator run` in one folder; started, killed and started again as the test likes."""

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        """`environment` takes the place of this process's own."""
        self.folder = folder
        self._environment = environment
        self.process: subprocess.Popen[bytes] | None = None
        self.output = folder.parent / f"{folder.name}.log"
        self._clients: list[KubeClient] = []

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start the engine with its folder and these further arguments."""
        command = [
            sys.executable, "-m", "engine", "run", "--standalone", str(self.folder),
            *(() if "--metrics-bind-address" in arguments else ("--metrics-bind-address", "0")),
            "--health-probe-bind-address", "0", *arguments,
        ]  # fmt: skip
        with self.output.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=ROOT,
                env=self._environment,
            )
        return self.process

    def wait(self, timeout_s: float = 90.0) -> int:
        """The exit code of the engine; fails with its output when it does not end."""
        assert self.process is not None
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {timeout_s:g} s:\n{self.log()}") from None

    def kill(self) -> None:
        """kill -9, as a node that loses power would; its API ends with it, which takes a moment."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        until("its API is gone, too", lambda: not self._api_answers(), deadline_s=30)

    def _api_answers(self) -> bool:
        """Whether anything listens where the embedded API did."""
        kubeconfig = self.folder / "kubeconfig"
        found = re.search(r"//127\.0\.0\.1:(\d+)", kubeconfig.read_text()) if kubeconfig.exists() else None
        if found is None:
            return False
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", int(found[1]))) == 0

    def stop(self) -> int:
        """Ask the engine to end and wait for it."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.wait(40)

    def log(self) -> str:
        """The last of what it printed."""
        return self.output.read_text(errors="replace")[-6000:] if self.output.exists() else ""

    def calls(self) -> list[dict[str, Any]]:
        """Every Talos call that the simulated machines received."""
        path = self.folder / "calls.jsonl"
        # The last line may be in the making.
        whole = path.read_text().rpartition("\n")[0] if path.exists() else ""
        return [json.loads(line) for line in whole.splitlines()]

    def control(self, **request: Any) -> dict[str, Any]:
        """One request over the control socket of the simulated machines; fails when it is refused."""
        reply = control.order(self.folder / "machines" / CONTROL_SOCKET, request, timeout_s=10)
        assert reply["ok"], reply
        return reply

    def machines(self) -> dict[str, dict[str, Any]]:
        """What every simulated machine does, by address."""
        return {entry["address"]: entry for entry in self.control(op="list")["machines"]}

    def client(self) -> KubeClient:
        """A client of the embedded API; waits until it is there. It lasts as long as this Shipped."""

        def connected() -> KubeClient | None:
            try:
                client = KubeClient.connect(self.folder / "kubeconfig")
            except SettingsError:
                return None
            self._clients.append(client)
            try:
                client.kind_named(API, "TalosCluster")
            except RemoteError:
                return None
            return client

        found: KubeClient = until("the embedded API answers", connected)
        return found

    def close(self) -> None:
        """Close the clients and end every process that was started, the simulator included."""
        for client in self._clients:
            client.close()
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        _end_simulator(self.folder)

    def get(self, client: KubeClient, kind: str, name: str) -> dict[str, Any]:
        """One object of ours in the namespace default."""
        return client.get(Key(client.kind_named(API, kind), "default", name))

    def find(self, client: KubeClient, kind: str, name: str, api: str = API) -> dict[str, Any] | None:
        """One object in the namespace default, None when it is not there."""
        try:
            return client.get(Key(client.kind_named(api, kind), "default", name))
        except Missing:
            return None

    def all_of(self, client: KubeClient, kind: str, api: str = API) -> list[dict[str, Any]]:
        """All objects of a kind in the namespace default."""
        pages = client.list_pages(client.kind_named(api, kind), "default")
        return [item for page in pages for item in page.items]


@contextmanager
def shipped(folder: Path, environment: Mapping[str, str] | None = None) -> Iterator[Shipped]:
    """A Shipped whose processes are all ended afterwards."""
    run = Shipped(folder, environment)
    try:
        yield run
    finally:
        run.close()


def _end_simulator(folder: Path) -> None:
    try:
        pid = json.loads((folder / "simulator.pid").read_text())["pid"]
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError, KeyError):
        return
    if b"simulate" in command and str(folder).encode() in command:
        os.kill(pid, signal.SIGKILL)
        until("the simulator is gone", lambda: not _alive(pid), deadline_s=10)


def _alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def is_ready(item: dict[str, Any]) -> bool:
    """Whether an object's Ready condition is True."""
    conditions = (item.get("status") or {}).get("conditions") or []
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
