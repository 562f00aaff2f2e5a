"""Certificates and roles: who gets in, and what each may call."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable

import grpc
import pytest
from simulator_client import Client
from simulator_process import Simulation, authority

from engine.machineconfig.certificates import issue, make_authority

READ = "machine.MachineService/Version"
OPERATE = "machine.MachineService/EtcdDefragment"
BACKUP = "machine.MachineService/EtcdSnapshot"
ADMIN = "machine.MachineService/EtcdForfeitLeadership"
CONFIG = {"namespace": "config", "type": "MachineConfigs.config.talos.dev", "id": "v1alpha1"}


def code(call: Callable[[], object]) -> str:
    try:
        call()
    except grpc.RpcError as error:
        return str(error.code().name)
    return "OK"


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        ("os:admin", {READ, OPERATE, BACKUP, ADMIN}),
        ("os:operator", {READ, OPERATE, BACKUP}),
        ("os:reader", {READ}),
        ("os:etcd:backup", {BACKUP}),
        ("os:stranger", set()),
    ],
)
def test_each_role_may_call_its_methods_and_no_others(
    cluster: Simulation, role: str, allowed: set[str]
) -> None:
    with cluster.client(cluster.addresses[1], role) as client:
        found = {READ: code(lambda: client.call(READ)), OPERATE: code(lambda: client.call(OPERATE))}
        found[BACKUP] = code(lambda: list(client.stream(BACKUP)))
        found[ADMIN] = code(lambda: client.call(ADMIN))
    assert found == {method: "OK" if method in allowed else "PERMISSION_DENIED" for method in found}


def test_the_machine_configuration_is_for_administrators(cluster: Simulation) -> None:
    with cluster.client(cluster.addresses[0], "os:reader") as client:
        assert code(lambda: client.call("cosi.resource.State/Get", CONFIG)) == "PERMISSION_DENIED"
    with cluster.admin(cluster.addresses[0]) as client:
        assert code(lambda: client.call("cosi.resource.State/Get", CONFIG)) == "OK"


def test_nobody_writes_resources(cluster: Simulation) -> None:
    with cluster.admin(cluster.addresses[0]) as client:
        assert code(lambda: client.call("cosi.resource.State/Create")) == "PERMISSION_DENIED"


@pytest.mark.parametrize("kind", ["foreign", "expired", "missing", "server"])
def test_a_certificate_that_talos_would_not_take_never_makes_a_call(cluster: Simulation, kind: str) -> None:
    ca, now = authority(), time.time()
    signer = make_authority("ed25519", "talos", now=now) if kind == "foreign" else ca
    start = now - 7200 if kind == "expired" else now - 5
    usage = {"client": True, "server": kind == "server"}
    pair = issue(signer, now=start, ttl_s=3600, organizations=["os:admin"], **usage)
    before = len(cluster.calls())
    shown = None if kind == "missing" else pair
    with (
        pytest.raises((ssl.SSLError, ConnectionError, grpc.RpcError)),
        Client(cluster.addresses[0], ca.crt, shown) as client,
    ):
        client.call(READ)
    assert len(cluster.calls()) == before


def test_the_server_certificate_is_signed_by_the_os_authority_for_its_address(cluster: Simulation) -> None:
    for address in cluster.addresses:
        with cluster.client(address, "os:reader") as client:
            assert client.call(READ)["messages"][0]["platform"]["mode"] == "metal"
    with pytest.raises(ssl.SSLCertVerificationError):
        Client(cluster.addresses[0], make_authority("ed25519", "talos", now=time.time()).crt)


def test_a_call_leaves_one_line_without_secrets(cluster: Simulation) -> None:
    with cluster.client(cluster.addresses[2], "os:reader", "os:etcd:backup") as client:
        client.call("machine.MachineService/Hostname")
    line = cluster.calls()[-1]
    assert line.pop("time").endswith("Z")
    assert line.pop("seconds") >= 0
    assert line == {
        "machine": cluster.addresses[2],
        "role": "os:etcd:backup,os:reader",
        "method": "machine.MachineService/Hostname",
        "code": "OK",
    }
    assert "BEGIN" not in (cluster.folder / "calls.jsonl").read_text()


def test_a_call_without_a_certificate_is_logged_without_a_role(make: Callable[..., Simulation]) -> None:
    simulation = make(1)
    with simulation.client(simulation.addresses[0]) as client:
        client.call(READ)
    (line,) = simulation.calls()
    assert (line["role"], line["code"]) == ("none", "OK")


def test_a_method_that_talos_does_not_know_is_unimplemented_and_logged(cluster: Simulation) -> None:
    with cluster.admin(cluster.addresses[0]) as client, pytest.raises(grpc.RpcError) as caught:
        client.raw("machine.MachineService/Invented")
    assert caught.value.details() == "unknown method Invented for service machine.MachineService"
    assert (cluster.calls()[-1]["method"], cluster.calls()[-1]["code"]) == (
        "machine.MachineService/Invented",
        "UNIMPLEMENTED",
    )


def test_a_control_plane_machine_forwards_and_a_worker_does_not(cluster: Simulation) -> None:
    first, worker = cluster.addresses[0], cluster.addresses[-1]
    hostname = cluster.machine(worker)["hostname"]
    with cluster.client(first, "os:reader") as client:
        reply = client.call("machine.MachineService/Hostname", node=worker)
        both = client.call("machine.MachineService/Hostname", nodes=[first, "127.0.0.9"])["messages"]
    assert reply["messages"][0]["hostname"] == hostname
    assert both[0]["metadata"]["hostname"] == first
    assert "UNAVAILABLE" in both[1]["metadata"]["error"]
    with cluster.client(worker, "os:reader") as client, pytest.raises(grpc.RpcError) as caught:
        client.call("machine.MachineService/Hostname", node=first)
    assert caught.value.details() == "no request forwarding"
