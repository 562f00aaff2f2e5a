"""A machine's way from maintenance to a ready cluster."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from simulator_process import Simulation, config, until


def test_machines_reach_a_ready_cluster_over_the_real_protocol(cluster: Simulation) -> None:
    with cluster.admin(cluster.addresses[0]) as client:
        members = client.call("machine.MachineService/EtcdMemberList")["messages"][0]["members"]
    assert len(members) == 3
    assert not any(member["is_learner"] for member in members)


def test_a_worker_answers_only_after_a_control_plane_machine_signed_its_certificate(
    make: Callable[..., Simulation],
) -> None:
    simulation = make(2, speed=40)
    control, worker = simulation.addresses
    simulation.apply(worker, config("worker"))
    until(lambda: simulation.machine(worker)["services"].get("apid") == "Waiting", "apid waits")
    with pytest.raises(ConnectionRefusedError):
        simulation.admin(worker)
    simulation.apply(control, config("controlplane"))
    until(lambda: simulation.machine(worker)["services"].get("apid") == "Running", "apid runs")
    with simulation.admin(worker) as client:
        client.call("machine.MachineService/Version")


def test_an_unbootstrapped_cluster_waits_and_says_why(make: Callable[..., Simulation]) -> None:
    simulation = make(2, speed=40)
    control, worker = simulation.addresses
    simulation.apply(control, config("controlplane"))
    simulation.apply(worker, config("worker"))
    simulation.reaches("running", worker)
    until(lambda: simulation.machine(control)["services"].get("etcd") == "Preparing", "etcd waits")
    request = {"namespace": "runtime", "type": "MachineStatuses.runtime.talos.dev", "id": "machine"}
    found = {}
    for address in (control, worker):
        with simulation.client(address, "os:reader") as client:
            found[address] = client.call("cosi.resource.State/Get", request)["resource"]["spec"]["yaml_spec"]
    assert "stage: booting" in found[control]
    assert "etcd not running" in found[control]
    assert "stage: running" in found[worker]
    assert "name: nodeReady" in found[worker]
