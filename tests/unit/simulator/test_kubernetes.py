"""The Kubernetes API of a simulated cluster, and the capability that takes Nodes out of it."""

from __future__ import annotations

import asyncio
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
from simulator_process import Simulation, config, until

from engine.base.errors import CapabilityError, Denied, RemoteError, Unreachable
from engine.base.kinds import Kind
from engine.base.values import Opaque
from engine.capabilities.kubeconfig import unpacked
from engine.capabilities.node_delete import CAPABILITY as NODE_DELETE
from engine.machineconfig.certificates import issue, make_authority
from engine.machineconfig.identity import Credentials, read_credentials
from engine.ports.kube.clusters import Administrator, Clusters
from engine.simulator.configuration import read_config

NODE = Kind("", "v1", "Node", "nodes", namespaced=False)


@pytest.fixture(scope="module")
def simulation(make: Callable[..., Simulation]) -> Simulation:
    """A control plane machine and a worker."""
    simulation = make(2, speed=20)
    simulation.bring_up(workers=1)
    who = administrator(read_credentials(kubeconfig_of(simulation)))

    def registered() -> bool:
        with suppress(Unreachable):
            return len(nodes(simulation, who)) == 2
        return False

    until(registered, "both Nodes")
    return simulation


def kubeconfig_of(simulation: Simulation) -> str:
    """What Talos gives an administrator."""
    with simulation.admin(simulation.addresses[0]) as client:
        chunks = list(client.stream("machine.MachineService/Kubeconfig"))
    return unpacked(b"".join(chunk.bytes for chunk in chunks), "")


@pytest.fixture(scope="module")
def kubeconfig(simulation: Simulation) -> str:
    return kubeconfig_of(simulation)


def server(simulation: Simulation) -> str:
    return f"https://{simulation.addresses[0]}:6443"


def administrator(found: Credentials) -> Administrator:
    return Administrator(found.ca, found.client.crt, found.client.key)


def nodes(simulation: Simulation, who: Administrator) -> dict[str, dict[str, Any]]:
    """The Nodes by their machines' addresses."""
    client = Clusters(loopback_only=True).client(server(simulation), who, deadline_s=5)
    try:
        found = [item for page in client.list_pages(NODE) for item in page.items]
    finally:
        client.close()
    return {item["status"]["addresses"][0]["address"]: item for item in found}


def ready(node: dict[str, Any]) -> str:
    return next(item["status"] for item in node["status"]["conditions"] if item["type"] == "Ready")


def delete(text: str, *, loopback_only: bool = True, **given: Any) -> dict[str, Any]:
    ports = SimpleNamespace(clusters=Clusters(loopback_only=loopback_only))
    whole = {"kubeconfig": Opaque(text), "servers": [], "patient": True, **given}
    assert NODE_DELETE.start is not None
    return asyncio.run(NODE_DELETE.start(ports, whole))  # type: ignore[arg-type]


def test_every_kubelet_has_its_node(simulation: Simulation, kubeconfig: str) -> None:
    who = administrator(read_credentials(kubeconfig))
    found = nodes(simulation, who)
    assert set(found) == set(simulation.addresses)
    for address, node in found.items():
        assert node["metadata"]["name"] == simulation.machine(address)["hostname"]
        assert ready(node) == "True"
        assert node["status"]["nodeInfo"]["kubeletVersion"].startswith("v1.")


def test_a_node_outlives_its_machine_until_it_is_deleted_and_comes_back_with_its_kubelet_only(
    simulation: Simulation, kubeconfig: str
) -> None:
    control, worker = simulation.addresses
    who = administrator(read_credentials(kubeconfig))
    name = nodes(simulation, who)[worker]["metadata"]["name"]
    simulation.control(op="power-off", machine=worker)
    until(lambda: ready(nodes(simulation, who)[worker]) == "Unknown", "it is not heard of")
    assert delete(kubeconfig, address=worker, servers=[control])["nodes"] == [name]
    assert set(nodes(simulation, who)) == {control}
    assert delete(kubeconfig, address=worker, servers=[control])["nodes"] == []
    simulation.control(op="power-on", machine=worker)
    until(lambda: worker in nodes(simulation, who), "its kubelet registers it again")


def test_nobody_without_an_administrators_certificate_is_let_in(simulation: Simulation) -> None:
    authority = read_config(config("controlplane")).kubernetes_authority
    open_to_all = ssl.create_default_context(cadata=authority.crt)
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{server(simulation)}/api/v1/nodes", timeout=5, context=open_to_all)
    with caught.value as refusal:
        assert refusal.code == 401
    reader = issue(authority, now=time.time() - 5, ttl_s=600, organizations=["readers"], client=True)
    with pytest.raises(Denied):
        nodes(simulation, Administrator(authority.crt, reader.crt, reader.key))
    stranger = make_authority("p256", "stranger", now=time.time() - 5)
    forged = issue(stranger, now=time.time() - 5, ttl_s=600, organizations=["system:masters"], client=True)
    with pytest.raises(RemoteError):
        nodes(simulation, Administrator(authority.crt, forged.crt, forged.key))


def test_a_cluster_that_does_not_answer_is_an_error_for_the_patient_and_told_to_the_others(
    simulation: Simulation, kubeconfig: str
) -> None:
    worker = simulation.addresses[1]  # no API server runs there
    with pytest.raises(RemoteError):
        delete(kubeconfig, address=simulation.addresses[0], servers=[worker])
    told = delete(kubeconfig, address=simulation.addresses[0], servers=[worker], patient=False)
    assert (told["done"], told["nodes"]) == (True, [])
    assert "connect" in told["told"]


def test_what_is_no_kubeconfig_and_what_is_not_loopback_is_not_dialled(kubeconfig: str) -> None:
    with pytest.raises(CapabilityError) as caught:
        delete("apiVersion: v1\nkind: Config\n", address="127.0.0.2", servers=["127.0.0.3"])
    assert caught.value.code == "UnusableKubeconfig"
    with pytest.raises(Unreachable) as refused:
        delete(kubeconfig, address="127.0.0.2", servers=["192.0.2.1"])
    assert refused.value.code == "NotLoopback"
