"""A snapshot that the engine copies from a simulated machine is whole, and restores what etcd held."""

from __future__ import annotations

import hashlib
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from simulator_process import Simulation, authority

from engine.base.errors import RemoteError
from engine.base.values import Opaque
from engine.capabilities.etcd_snapshot_copy import CAPABILITY
from engine.capabilities.stores import handle_of
from engine.etcdfile.verify import verify_file
from engine.machineconfig.certificates import issue
from engine.ports.talos.client import TalosClient
from engine.ports.talos.identity import Identity

KEY = "talos-operator-etcd-backups/cp/etcd-snapshot-2026-11-28T10-00-00Z.db"
MEBIBYTE = 1 << 20


def copied(simulation: Simulation, store: Path, stop: threading.Event | None = None) -> Any:
    ca = authority()
    pair = issue(ca, now=time.time() - 5, ttl_s=3600, organizations=["os:admin"], client=True)
    who = Identity(ca=ca.crt, certificate=pair.crt, key=pair.key)
    client = TalosClient(loopback_only=True)
    client.start()
    try:
        ports: Any = SimpleNamespace(talos=client, identities=SimpleNamespace(of=lambda *_: who), now=0.0)
        given = {
            "endpoint": simulation.addresses[0],
            "identity": Opaque(""),
            "store": handle_of(store),
            "key": KEY,
        }
        assert CAPABILITY.work is not None
        return CAPABILITY.work(ports, given, stop or threading.Event())
    finally:
        client.close()


@pytest.mark.parametrize("mebibytes", [1, 20])
def test_a_snapshot_of_a_simulated_machine_is_whole_in_the_store(
    single: Simulation, tmp_path: Path, mebibytes: int
) -> None:
    single.control(op="database", machine=single.addresses[0], bytes=mebibytes * MEBIBYTE)
    single.control(op="put", machine=single.addresses[0], key="/registry/a", value="b")
    told = copied(single, tmp_path)
    facts = verify_file(tmp_path / KEY)
    assert told["bytes"] == facts.size >= mebibytes * MEBIBYTE
    assert told["sha256"] == hashlib.sha256((tmp_path / KEY).read_bytes()).hexdigest()
    assert len(facts.members) == 1


def test_a_machine_that_is_lost_half_way_leaves_nothing(single: Simulation, tmp_path: Path) -> None:
    single.control(op="database", machine=single.addresses[0], bytes=200 * MEBIBYTE)

    def cut() -> None:
        deadline = time.monotonic() + 20
        while not list(tmp_path.rglob(".*.partial")) and time.monotonic() < deadline:
            time.sleep(0.001)
        assert single.control(op="refuse", machine=single.addresses[0])["ok"]

    cutter = threading.Thread(target=cut)
    cutter.start()
    try:
        with pytest.raises(RemoteError):
            copied(single, tmp_path)
    finally:
        cutter.join()
        single.control(op="heal", machine=single.addresses[0])
        single.control(op="database", machine=single.addresses[0], bytes=MEBIBYTE)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
