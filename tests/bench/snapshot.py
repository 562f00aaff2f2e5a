"""How fast a snapshot of etcd goes from a node into an object store, and what memory that takes.

A process that has all of the engine loaded, and a client for nodes started, copies as a job does: 1 GiB in the
messages of 1 KiB that Talos sends, over mTLS, through SHA-256 and the checks, in parts over TLS to S3. Node and
store are `snapshot_peers`. Neighbours: `measure` asks, `figures` shows.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from engine.machineconfig import certificates
from engine.ports.talos.identity import Identity
from tests.bench.figures import Figure
from tests.sim.shipped import ROOT

MEBIBYTE = 1 << 20
SIZE = 1 << 30
WHERE = "127.93.7.1"
RUNS = 3
"""Other tenants of the machine halve its speed now and then: the quietest run counts."""


def snapshot_copy(folder: Path, size: int = SIZE) -> list[Figure]:
    """MB a second of the quietest run, and the most memory that a run took beyond what the process had."""
    now = time.time()
    authority = certificates.make_authority("ed25519", "talos", now=now - 60)
    server = certificates.issue(authority, now=now - 60, ttl_s=86400, server=True, addresses=[WHERE])
    client = certificates.issue(
        authority, now=now - 60, ttl_s=86400, client=True, organizations=["os:etcd:backup"]
    )
    chain, ca = folder / "server.pem", folder / "ca.pem"
    chain.write_text(server.crt + certificates.relabel(server.key))
    ca.write_text(authority.crt)
    who = Identity(ca=authority.crt, certificate=client.crt, key=client.key)
    with ExitStack() as stack:
        node = {"serve": "node", "chain": str(chain), "clients": str(ca), "where": WHERE, "size": size}
        stack.enter_context(_peer(node))
        port = stack.enter_context(_peer({"serve": "store", "chain": str(chain), "where": WHERE}))
        given = {
            "who": asdict(who),
            "store": {
                "bucket": "backups",
                "region": "eu-central-1",
                "endpoint": f"https://{WHERE}:{port}",
                "access_key": "id",
                "secret_key": "key",
                "authority": authority.crt,
            },
        }
        job = [sys.executable, "-m", "tests.bench.snapshot"]
        told = subprocess.run(
            job, input=json.dumps(given), cwd=ROOT, capture_output=True, text=True, check=False
        )
    if told.returncode != 0:
        raise RuntimeError(told.stderr)
    found = json.loads(told.stdout)
    return [
        Figure("etcd snapshot of 1 GiB into an object store", found["speed"], "MB/s", least=150.0),
        Figure("  memory that it took, boto3 included", found["memory"], "MiB", 64.0),
        Figure("  CPU of the process", found["cpu"], "s"),
    ]


@contextmanager
def _peer(told: dict[str, Any]) -> Iterator[str]:
    command = [sys.executable, "-m", "tests.bench.snapshot_peers", json.dumps(told)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def job() -> None:
    """The measured process: reads what it is given, copies, prints its figures."""
    import engine.app  # noqa: F401 - the job lives in a process that has all of the engine
    from engine.base.values import Opaque
    from engine.capabilities.etcd_snapshot_copy import CAPABILITY
    from engine.capabilities.stores import handle_of
    from engine.engine import Engine  # noqa: F401 - same
    from engine.ports.stores.s3place import S3Place
    from engine.ports.talos.client import TalosClient

    given = json.load(sys.stdin)
    who = Identity(**given["who"])
    client = TalosClient(loopback_only=True)
    client.start()
    before, found = _resident("VmRSS"), []
    ports: Any = SimpleNamespace(talos=client, identities=SimpleNamespace(of=lambda *_: who), now=0.0)
    asked = {
        "endpoint": WHERE,
        "identity": Opaque(""),
        "store": handle_of(S3Place(**given["store"])),
        "key": "a.db",
    }
    for _ in range(RUNS):
        cpu = time.process_time()
        assert CAPABILITY.work is not None
        told = CAPABILITY.work(ports, asked, threading.Event())
        found.append((told["bytes"] / told["seconds"] / 1e6, time.process_time() - cpu))
    most = _resident("VmHWM")
    client.close()
    speed, cpu = max(found)
    print(json.dumps({"speed": speed, "cpu": cpu, "memory": (most - before) / MEBIBYTE, "all": found}))


def _resident(name: str) -> int:
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


if __name__ == "__main__":
    job()
