"""A simulator process for tests: started, killed, asked and configured; golden configurations beside it."""

from __future__ import annotations

import base64
import ipaddress
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from simulator_client import Client

from engine.base import control
from engine.machineconfig.certificates import Pair, issue
from engine.simulator.settings import CONTROL_SOCKET

DATA = Path(__file__).parent / "data"
_RANDOM = random.Random(os.getpid())


def until(condition: Callable[[], Any], what: str, seconds: float = 60.0) -> Any:
    """The first true value of `condition`, asked again and again until the deadline."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {what}")


def config(role: str, version: str = "113", **machine: Any) -> str:
    """A golden configuration; keyword arguments set keys of `machine`."""
    text = (DATA / f"{role}-{version}.yaml").read_text()
    if not machine:
        return text
    documents = list(yaml.safe_load_all(text))
    documents[0]["machine"].update(machine)
    return yaml.safe_dump_all(documents, sort_keys=False)


def authority(version: str = "113") -> Pair:
    """The OS authority of the golden cluster."""
    ca = next(yaml.safe_load_all(config("controlplane", version)))["machine"]["ca"]
    return Pair(base64.b64decode(ca["crt"]).decode(), base64.b64decode(ca["key"]).decode())


class Simulation:
    """A simulator process that can be killed and started again on the same folder."""

    def __init__(
        self,
        folder: Path,
        machines: int,
        speed: float = 10.0,
        versions: str = "v1.13.9",
        disks: str = "sda:20,sdb:50:hdd,sr0",
    ) -> None:
        self.folder = folder
        self.first = f"127.{_RANDOM.randint(64, 250)}.{_RANDOM.randint(1, 250)}.1"
        self.addresses = [str(ipaddress.ip_address(self.first) + index) for index in range(machines)]
        self._arguments = [str(folder), str(machines), self.first, str(speed), versions, disks]
        self.process: subprocess.Popen[str] | None = None
        self._sockets = 0

    def start(self) -> None:
        command = [sys.executable, "-m", "engine.simulator", *self._arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line.startswith("simulating "):
            self.stop()
            raise AssertionError(f"the simulator did not start: {line}")

    def use(self, address: str) -> None:
        """Listen on this address instead."""
        self._arguments[2] = address

    def fails(self) -> tuple[int, str]:
        """Start where it cannot: the exit code and what it said."""
        command = [sys.executable, "-m", "engine.simulator", *self._arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
        return done.returncode, done.stderr

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self._reap()

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self._reap()

    def _reap(self) -> int:
        assert self.process is not None
        assert self.process.stdout is not None
        self.process.stdout.close()
        return self.process.wait(10)

    def control(self, **request: Any) -> dict[str, Any]:
        """One request over the control socket."""
        return control.order(self.folder / CONTROL_SOCKET, request)

    def machine(self, address: str) -> dict[str, Any]:
        return next(entry for entry in self.control(op="list")["machines"] if entry["address"] == address)

    def reaches(self, stage: str, *addresses: str, ready: bool = False) -> None:
        """Wait until all of these machines (default: all) are in `stage`."""

        def there() -> bool:
            found = [self.machine(address) for address in addresses or self.addresses]
            return all(entry["stage"] == stage and (entry["ready"] or not ready) for entry in found)

        until(there, f"{addresses or 'all'} {stage}")

    def calls(self) -> list[dict[str, Any]]:
        path = self.folder / "calls.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def client(self, address: str, *roles: str, version: str = "113") -> Client:
        """A client with a certificate of these roles; without roles an insecure one."""
        if not roles:
            return Client(address)
        ca = authority(version)
        pair = issue(ca, now=time.time() - 5, ttl_s=3600, organizations=roles, client=True)
        return Client(address, ca.crt, pair)

    def admin(self, address: str) -> Client:
        return self.client(address, "os:admin")

    def apply(self, address: str, text: str) -> dict[str, Any]:
        """Give a machine in maintenance its configuration."""
        self.reaches("maintenance", address)
        with self.client(address) as client:
            return client.call("machine.MachineService/ApplyConfiguration", {"data": text, "mode": "AUTO"})

    def bring_up(self, workers: int = 0, version: str = "113") -> None:
        """All machines to a ready cluster: the last `workers` are workers."""
        for index, address in enumerate(self.addresses):
            role = "worker" if index >= len(self.addresses) - workers else "controlplane"
            self.apply(address, config(role, version))
        first = self.addresses[0]
        until(lambda: self.machine(first)["services"].get("kubelet") == "Running", "kubelet on the first")
        with self.client(first, "os:admin", version=version) as client:
            client.call("machine.MachineService/Bootstrap")
        self.reaches("running", ready=True)
