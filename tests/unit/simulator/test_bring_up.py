"""A machine's way from maintenance to a ready cluster."""

from __future__ import annotations

from simulator_process import Simulation


def test_machines_reach_a_ready_cluster_over_the_real_protocol(cluster: Simulation) -> None:
    with cluster.admin(cluster.addresses[0]) as client:
        members = client.call("machine.MachineService/EtcdMemberList")["messages"][0]["members"]
    assert len(members) == 3
    assert not any(member["is_learner"] for member in members)
