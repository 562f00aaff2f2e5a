"""Network settings in the META partition: each machine its own, and only when it is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.sim.cluster import NAME, Cluster, Document, quickstart, started

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

WRITE = "machine.MachineService/MetaWrite"


def _with_meta(gateway: str) -> Document:
    def change(document: Document) -> None:
        for part in ("controlPlane", "worker"):
            meta = {"interface": "eth0", "subnet": 24, "gateway": gateway}
            document["spec"][part]["metalSpec"].setdefault("machineSpec", {})["meta"] = meta

    return quickstart(1, 2, change=change)


def test_the_meta_key_of_each_machine_gets_its_own_address_and_a_change_takes_its_turn(
    tmp_path: Path,
) -> None:
    with started(tmp_path / "run", "--enable-meta-key", machines=5) as cluster:
        cluster.apply(_with_meta("127.0.1.254"))
        cluster.ready()
        own = ["127.0.1.1", "127.0.1.4", "127.0.1.5"]
        assert sorted(cluster.calls(WRITE)) == own  # in maintenance mode they refuse it
        assert {address: _said(cluster, address) for address in own} == {
            address: (f"{address}/24", "127.0.1.254") for address in own
        }
        cluster.apply(_with_meta("127.0.1.253"))
        cluster.ready()
        assert sorted(cluster.calls(WRITE)) == sorted([*own, *own])
        assert cluster.calls(WRITE)[3] == "127.0.1.1"  # control planes change before workers
        assert {_said(cluster, address)[1] for address in own} == {"127.0.1.253"}


def test_without_its_flag_no_meta_key_is_written(tmp_path: Path) -> None:
    with started(tmp_path / "run", machines=5) as cluster:
        cluster.apply(_with_meta("127.0.1.254"))
        cluster.ready()
        assert cluster.calls(WRITE, ok=False) == []


def _said(cluster: Cluster, address: str) -> tuple[str, str]:
    request = {"namespace": "runtime", "type": "MetaKeys.runtime.talos.dev", "id": "0x0a"}
    with cluster.machine_api(address, NAME) as machine:
        reply = machine.message("cosi.resource.State/Get", request)
    told = yaml.safe_load(yaml.safe_load(reply.resource.spec.yaml_spec)["value"])
    return told["addresses"][0]["address"], told["routes"][0]["gateway"]
