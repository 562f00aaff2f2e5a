"""Several engines over one API and the same machines, one of which leads; each can be killed, paused or cut off alone.

Each replica reaches the API through a line of its own, which passes bytes on and can be cut, and is started again when it
has ended, as a kubelet would. Promises that every process it started has ended after `up`. Neighbours: `handover` does the
harm, `test_handover` samples it; `apart` has the same world with one engine.
"""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from engine.base.errors import Missing, RemoteError
from engine.base.kinds import Key
from engine.base.yamltext import load_documents
from engine.ports.kube.client import KubeClient
from engine.ports.kube.lease import LEASE, record_of
from tests.faults.apart import Apart
from tests.sim.cluster import Cluster
from tests.sim.shipped import ROOT, free_port, until

KEY = Key(LEASE, "default", "ffa5cb32.alperen.cloud")
_SPEED = 6


@dataclass(frozen=True, slots=True)
class Times:
    """Those of the election, in seconds."""

    lease: float
    renew: float
    retry: float

    @property
    def flags(self) -> tuple[str, ...]:
        return (
            *("--leader-elect", "--leader-elect-lease-duration", f"{self.lease}s"),
            *("--leader-elect-renew-deadline", f"{self.renew}s"),
            *("--leader-elect-retry-period", f"{self.retry}s"),
        )


SHORT = Times(4, 2.5, 0.5)
TRUE = Times(15, 10, 2)


class Line:
    """Passes bytes between a port of its own and the API; cut, it lets nobody in and nothing through."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._door.getsockname()[1]
        self._lock = threading.Lock()
        self._ends: set[socket.socket] = set()
        self._is_cut = False
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """End what is open and answer nobody."""
        with self._lock:
            self._is_cut = True
            for end in self._ends:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        self._is_cut = False

    def close(self) -> None:
        self.cut()
        self._door.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._door.accept()
                threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        far = None
        try:
            if self._is_cut:
                return
            far = socket.create_connection(self._target)
            with self._lock:
                self._ends |= {near, far}
            back = threading.Thread(target=_pump, args=(far, near), daemon=True)
            back.start()
            _pump(near, far)
            back.join()
        except OSError:
            pass
        finally:
            with self._lock:
                self._ends -= {near, far}
            for end in (near, far):
                if end is not None:
                    end.close()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while part := source.recv(65536):
            target.sendall(part)
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


@dataclass
class Replica:
    """One engine. `told`: where its log begins for the life that runs now."""

    name: str
    kubeconfig: Path
    line: Line
    log: Path
    flags: tuple[str, ...]
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    lives: int = 0
    exits: list[int] = field(default_factory=list)

    def start(self) -> None:
        self.lives += 1
        where = ("--metrics-bind-address", f"127.0.0.1:{self.port}", "--metrics-secure=false")
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "engine", "run", "--kubeconfig", str(self.kubeconfig)),
                    *("--health-probe-bind-address", "0", "--workers", "8", *where, *self.flags),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=ROOT,
            )

    def send(self, sign: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(sign)

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def has_ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def revive(self) -> None:
        """Start it again if it has ended."""
        if self.process is not None and self.process.poll() is not None:
            self.exits.append(self.process.returncode)
            self.start()

    def metric(self, name: str) -> float | None:
        """The sum of the series of one family; None when nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=2) as answer:
                lines = answer.read().decode().splitlines()
        except OSError:
            return None
        found = [line.rpartition(" ")[2] for line in lines if line.startswith((f"{name}{{", f"{name} "))]
        return sum(map(float, found)) if found else None


class Replicas(Apart):
    """The world of one round."""

    def __init__(self, folder: Path, times: Times = SHORT, count: int = 2) -> None:
        super().__init__(folder)
        self.times = times
        self._count = count
        self.replicas: list[Replica] = []
        self._keeper = threading.Event()
        self._frozen: set[str] = set()

    @contextmanager
    def running(self) -> Iterator[Cluster]:
        """API, machines and engines."""
        with ExitStack() as stack:
            self._run(stack, "engine.standalone", str(self.folder))
            machines = self._simulate(stack, 4, _SPEED)
            cluster = Cluster(self)
            stack.callback(self.close)
            until("the machines are there", machines.exists)
            for number in range(self._count):
                self.replicas.append(self._replica(number))
                stack.callback(self._end, self.replicas[-1])
                self.replicas[-1].start()
            keeper = threading.Thread(target=self._keep, daemon=True)
            keeper.start()
            stack.callback(keeper.join)
            stack.callback(self._keeper.set)
            yield cluster

    def _replica(self, number: int) -> Replica:
        (config,) = load_documents((self.folder / "kubeconfig").read_text())
        cluster = config["clusters"][0]["cluster"]
        place = urlsplit(cluster["server"])
        line = Line(place.hostname or "", place.port or 0)
        cluster["server"] = f"https://127.0.0.1:{line.port}"
        kubeconfig = self.folder / f"kubeconfig-{number}"
        kubeconfig.touch(mode=0o600)
        kubeconfig.write_text(json.dumps(config))
        log = self.folder.parent / f"{self.folder.name}-engine-{number}.log"
        return Replica(f"engine-{number}", kubeconfig, line, log, self.times.flags)

    def _end(self, replica: Replica) -> None:
        if replica.process is not None and replica.process.poll() is None:
            replica.process.kill()
            replica.process.wait()
        replica.line.close()

    def _keep(self) -> None:
        """Start again what has ended, all the time."""
        while not self._keeper.wait(0.1):
            for replica in self.replicas:
                if replica.name not in self._frozen:
                    replica.revive()

    @contextmanager
    def nobody_revives(self, replica: Replica) -> Iterator[None]:
        """While the block looks at how a process ended."""
        self._frozen.add(replica.name)
        try:
            yield
        finally:
            self._frozen.discard(replica.name)

    def lease(self, client: KubeClient) -> dict[str, Any] | None:
        with suppress(Missing, RemoteError):
            return client.get(KEY)
        return None

    def holder(self, client: KubeClient) -> str:
        """Who holds the lease, "" when nobody does."""
        lease = self.lease(client)
        return "" if lease is None else record_of(lease).holder

    def leader(self, client: KubeClient, deadline_s: float = 60) -> Replica:
        """The replica whose process says that it leads, and whose the lease is."""

        def found() -> Replica | None:
            holder = self.holder(client)
            if not holder:
                return None
            for replica in self.replicas:
                if replica.metric("leader_election_master_status") == 1 and f"as {holder}" in _text(replica):
                    return replica
            return None

        answer: Replica = until("somebody leads", found, deadline_s=deadline_s)
        return answer

    def waiting(self, client: KubeClient) -> bool:
        """Whether somebody leads and everybody else is there to take over."""
        told = [each.metric("leader_election_master_status") for each in self.replicas]
        return bool(self.holder(client)) and told.count(1) == 1 and told.count(0) == len(told) - 1

    def mutations(self) -> list[dict[str, Any]]:
        """Every call that would change a machine, as the machines received them."""
        found: list[dict[str, Any]] = self.control(op="mutations")["mutations"]
        return found

    def logs(self) -> str:
        """The last of what every engine printed."""
        parts = [f"--- {each.name}\n{_text(each)[-4000:]}" for each in self.replicas]
        return "\n".join(parts)


def _text(replica: Replica) -> str:
    return replica.log.read_text(errors="replace") if replica.log.exists() else ""


def acts_after(replicas: Replicas, former: str, client: KubeClient, deadline_s: float) -> float:
    """Seconds until another holder's process has ended its first pass, or leads where nothing is left to work on."""
    began = time.monotonic()

    def acts() -> bool:
        holder = replicas.holder(client)
        if holder in ("", former):
            return False
        is_idle = not replicas.all_of(client, "TalosCluster")
        return any(
            f"as {holder}" in _text(each)
            and (is_idle or (each.metric("controller_runtime_reconcile_total") or 0) > 0)
            for each in replicas.replicas
        )

    until("somebody else works", acts, deadline_s=deadline_s)
    return time.monotonic() - began


@contextmanager
def alone(run: Replicas, replica: Replica) -> Iterator[None]:
    """Nobody else runs meanwhile, and whatever they have sent before has arrived."""
    others = [each for each in run.replicas if each is not replica and not each.has_ended()]
    with run.nobody_revives(replica):
        for each in others:
            each.send(signal.SIGSTOP)
        try:
            time.sleep(0.1)
            yield
        finally:
            for each in others:
                each.send(signal.SIGCONT)
