"""The engine as `dist/install.yaml` deploys it, on a real API server: its arguments, its account, its roles, nothing else.

There is no kubelet: the test starts the processes that the Deployment would, each with a token of the ServiceAccount.
Machines are simulated. Promises that every process has ended after `deployed`. Neighbours: `controlplane`; `tests.sim`
has the questions that a test asks of the world.
"""

from __future__ import annotations

import json
import signal
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from engine.base.errors import Missing
from engine.base.kinds import Key
from engine.base.yamltext import load_documents
from engine.ports.kube.lease import LEASE, record_of
from tests.conformance.kubectl import Kubectl
from tests.faults.apart import Apart
from tests.kube.controlplane import ControlPlane
from tests.sim.cluster import Cluster
from tests.sim.shipped import ROOT, free_port, until

INSTALL = ROOT / "dist" / "install.yaml"
NAMESPACE = "talos-operator-system"
ACCOUNT = "talos-operator-controller-manager"
ELECTION = "ffa5cb32.alperen.cloud"
SPEED = 6


@dataclass
class Engine:
    """One process of the Deployment."""

    kubeconfig: Path
    log: Path
    metrics: int = field(default_factory=free_port)
    probes: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self, arguments: list[str]) -> None:
        ports = {"--metrics-bind-address": self.metrics, "--health-probe-bind-address": self.probes}
        own = [f"{flag}=127.0.0.1:{port}" for flag, port in ports.items()]
        given = [each for each in arguments if each.partition("=")[0] not in ports]
        command = [sys.executable, "-m", "engine", *given, *own, "--kubeconfig", str(self.kubeconfig)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def end(self, sign: signal.Signals) -> int:
        """Its exit code after this signal."""
        assert self.process is not None
        self.process.send_signal(sign)
        return self.process.wait(45)

    def runs(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def led_as(self, holder: str) -> bool:
        """Whether it has said that it leads, under this name of the lease."""
        return any(str(line.get("message", "")).endswith(f"as {holder}") for line in self.lines())

    def lines(self) -> list[dict[str, object]]:
        """What it has logged."""
        whole = self.log.read_text(errors="replace").rpartition("\n")[0] if self.log.exists() else ""
        return [json.loads(line) for line in whole.splitlines() if line.startswith("{")]

    def scrape(self, token: str) -> tuple[int, str]:
        """Status and text of /metrics for whom the token stands for; nobody when it is empty."""
        request = urllib.request.Request(f"https://127.0.0.1:{self.metrics}/metrics")
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        own = ssl.create_default_context()
        own.check_hostname, own.verify_mode = False, ssl.CERT_NONE
        try:
            with urllib.request.urlopen(request, context=own, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.probes}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


class Deployed(Apart):
    """The world of one test module."""

    def __init__(self, plane: ControlPlane, folder: Path) -> None:
        super().__init__(folder)
        self.plane = plane
        self.kubectl = Kubectl(plane.programs / "kubectl", plane.kubeconfig, folder)
        self.engines: list[Engine] = []
        self.backups = folder / "backups"

    def install(self) -> str:
        """Apply what is shipped; what kubectl warned of."""
        done = subprocess.run(
            [str(self.kubectl.program), "apply", "--validate=strict", "-f", str(INSTALL)],
            env=self.kubectl.environment, capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        self.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
        return done.stderr

    def arguments(self) -> list[str]:
        """Those that the Deployment gives."""
        documents = load_documents(INSTALL.read_text())
        (deployment,) = (each for each in documents if each["kind"] == "Deployment")
        found: list[str] = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
        return found

    def token(self, account: str = ACCOUNT) -> str:
        """A new token of a ServiceAccount, as the kubelet asks for one."""
        return self.kubectl("create", "token", account, "-n", NAMESPACE, "--duration=1h").strip()

    def engine(self, *further: str) -> Engine:
        """One more process; with `further` arguments."""
        number = len(self.engines)
        kubeconfig = self.folder / f"engine-{number}.kubeconfig"
        self.plane.write_access(kubeconfig, self.token(), NAMESPACE)
        engine = Engine(kubeconfig, self.folder / f"engine-{number}.log")
        self.engines.append(engine)
        self.backups.mkdir(exist_ok=True)
        engine.start([*self.arguments(), f"--backup-directory={self.backups}", *further])
        return engine

    def holder(self) -> str:
        """Who holds the Lease of the election."""
        try:
            return record_of(self.client().get(Key(LEASE, NAMESPACE, ELECTION))).holder
        except Missing:
            return ""

    def leader(self, *, deadline_s: float = 30) -> Engine:
        """The engine that works."""

        def found() -> Engine | None:
            holder = self.holder()
            running = (each for each in self.engines if each.runs())
            return next((each for each in running if holder and each.led_as(holder)), None)

        answer: Engine = until("one of the engines leads", found, deadline_s=deadline_s)
        return answer

    def refused(self) -> list[dict[str, object]]:
        """What any engine has logged of things that it may not do."""
        lines = [line for engine in self.engines for line in engine.lines()]
        return [line for line in lines if "forbidden" in json.dumps(line).lower()]

    def log(self) -> str:
        """The last of what every engine printed."""
        texts = [each.log.read_text(errors="replace")[-3000:] for each in self.engines if each.log.exists()]
        return "\n---\n".join(texts)

    @contextmanager
    def running(self, machines: int) -> Iterator[Cluster]:
        """So many machines; engines are the test's to start."""
        with ExitStack() as stack:
            there = self._simulate(stack, machines, SPEED)
            stack.callback(self.close)
            until("the machines are there", there.exists)
            stack.callback(self._end_engines)
            yield Cluster(self)

    def _end_engines(self) -> None:
        for engine in self.engines:
            if engine.runs():
                engine.end(signal.SIGKILL)


@contextmanager
def deployed(programs: Path, folder: Path, machines: int) -> Iterator[tuple[Deployed, Cluster]]:
    """A control plane with what is shipped installed, and machines."""
    plane = ControlPlane(programs, folder)
    try:
        plane.start()
        world = Deployed(plane, folder)
        world.install()
        plane.start_controllers()
        with world.running(machines) as cluster:
            yield world, cluster
    finally:
        plane.stop()
