"""A real Kubernetes control plane without nodes: etcd, kube-apiserver and its controllers, on loopback.

Promises that each of them ends with the test process, however that ends. Objects live as long as the folder; the
API server can be killed and started again over them. Neighbours: `programs` has built them, `deployed` installs the
engine there.
"""

from __future__ import annotations

import base64
import json
import signal
import ssl
import subprocess
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.sim.shipped import free_port, until

_TOKEN = "administrator"  # of an API server on loopback that is gone in a minute
_CONTROLLERS = (
    "garbage-collector-controller",
    "namespace-controller",
    "serviceaccount-controller",
    "root-ca-certificate-publisher-controller",
    "clusterrole-aggregation-controller",
)


class ControlPlane:
    """All three. `kubeconfig` is that of an administrator, once `start` has ended."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self.programs = programs
        self._folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._etcd, self._peers, self.port = free_port(), free_port(), free_port()
        self.kubeconfig = folder / "kubeconfig"
        self.authority = folder / "pki" / "apiserver.crt"

    def start(self) -> None:
        """Start all; the controllers wait for kinds that the test has yet to bring."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._write_keys()
        here, peers = (f"http://127.0.0.1:{port}" for port in (self._etcd, self._peers))
        self._run(
            "etcd",
            *("--data-dir", str(self._folder / "etcd"), "--unsafe-no-fsync", "--name", "only"),
            *("--listen-client-urls", here, "--advertise-client-urls", here),
            *("--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers),
            *("--initial-cluster", f"only={peers}"),
        )
        self.start_api()

    def start_api(self) -> None:
        """Start the API server, and wait until it is ready."""
        key = str(self._folder / "accounts.key")
        issuer = "https://kubernetes.default.svc.cluster.local"
        self._run(
            "kube-apiserver",
            *("--etcd-servers", f"http://127.0.0.1:{self._etcd}", "--cert-dir", str(self.authority.parent)),
            *("--bind-address", "127.0.0.1", "--advertise-address", "127.0.0.1"),
            *("--secure-port", str(self.port)),
            *("--endpoint-reconciler-type", "none", "--authorization-mode", "RBAC"),
            *("--token-auth-file", str(self._folder / "tokens"), "--service-account-issuer", issuer),
            *("--service-account-key-file", key, "--service-account-signing-key-file", key),
            *("--service-cluster-ip-range", "10.0.0.0/24", "--allow-privileged"),
        )
        try:
            until("the API server is ready", lambda: self.ask("/readyz") == b"ok", deadline_s=60)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self._told('kube-apiserver')}") from None
        self.write_access(self.kubeconfig, _TOKEN)

    def start_controllers(self) -> None:
        """Start them once all kinds are there: the garbage collector looks for new ones every half minute only."""
        self._run(
            "kube-controller-manager",
            *("--kubeconfig", str(self.kubeconfig), "--secure-port", "0", "--leader-elect=false"),
            *("--controllers", ",".join(_CONTROLLERS), "--use-service-account-credentials"),
            *("--service-account-private-key-file", str(self._folder / "accounts.key")),
            *("--root-ca-file", str(self.authority)),
        )

    def kill_api(self) -> None:
        """kill -9 of the API server."""
        self._end("kube-apiserver", signal.SIGKILL)

    def stop(self) -> None:
        """End all of them, the last one first."""
        for name in reversed(list(self._running)):
            self._end(name, signal.SIGKILL)

    def ask(self, path: str) -> bytes:
        """What the administrator gets there; empty when there is no such answer."""
        request = urllib.request.Request(
            f"https://127.0.0.1:{self.port}{path}", headers={"Authorization": f"Bearer {_TOKEN}"}
        )
        with suppress(OSError, urllib.error.URLError):
            context = ssl.create_default_context(cafile=str(self.authority))
            with urllib.request.urlopen(request, context=context, timeout=10) as answer:
                return bytes(answer.read())
        return b""

    def _told(self, name: str) -> str:
        """The end of what one of them has printed."""
        return (self._folder / f"{name}.log").read_text(errors="replace")[-4000:]

    def _run(self, name: str, *arguments: str) -> None:
        command = ["setpriv", "--pdeathsig", "KILL", str(self.programs / name), *arguments]
        with (self._folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._running[name] = process

    def _end(self, name: str, sign: signal.Signals) -> None:
        process = self._running.pop(name)
        process.send_signal(sign)
        process.wait(20)

    def _write_keys(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        text = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
        (self._folder / "accounts.key").write_bytes(text)
        (self._folder / "tokens").write_text(f'{_TOKEN},administrator,administrator,"system:masters"\n')

    def write_access(self, kubeconfig: Path, token: str, namespace: str = "default") -> None:
        """Write a kubeconfig for whom a token stands for."""
        cluster = {
            "server": f"https://127.0.0.1:{self.port}",
            "certificate-authority-data": base64.b64encode(self.authority.read_bytes()).decode(),
        }
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "it",
            "clusters": [{"name": "it", "cluster": cluster}],
            "users": [{"name": "it", "user": {"token": token}}],
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it", "namespace": namespace}}],
        }
        kubeconfig.touch(mode=0o600)
        kubeconfig.write_text(json.dumps(config))
