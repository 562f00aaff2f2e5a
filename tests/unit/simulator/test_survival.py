"""What survives a kill of the simulator: a power cut for all machines at once."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from simulator_process import Simulation, config, until


def test_a_killed_simulator_comes_back_with_the_same_cluster_and_new_boots(
    make: Callable[..., Simulation],
) -> None:
    simulation = make(2, speed=40)
    simulation.bring_up(workers=1)
    kept = ("installed", "hostname", "etcd_member", "type", "version")
    before = {entry["address"]: entry for entry in simulation.control(op="list")["machines"]}
    simulation.kill()
    simulation.start()
    simulation.reaches("running", ready=True)
    for entry in simulation.control(op="list")["machines"]:
        old = before[entry["address"]]
        assert {key: entry[key] for key in kept} == {key: old[key] for key in kept}
        assert entry["boot_id"] != old["boot_id"]
    with simulation.admin(simulation.addresses[0]) as client:
        request = {"namespace": "config", "type": "MachineConfigs.config.talos.dev", "id": "v1alpha1"}
        found = client.message("cosi.resource.State/Get", request).resource.spec.proto_spec
    assert config("controlplane").encode() in found


@pytest.mark.parametrize("seed", range(2))
def test_a_kill_at_any_moment_of_the_bring_up_loses_nothing_that_was_acknowledged(
    make: Callable[..., Simulation], seed: int
) -> None:
    simulation = make(2, speed=40)
    first, worker = simulation.addresses
    simulation.apply(first, config("controlplane"))
    simulation.apply(worker, config("worker"))
    time.sleep(random.Random(seed).uniform(0, 0.3))
    simulation.kill()
    simulation.start()
    until(lambda: simulation.machine(first)["services"].get("kubelet") == "Running", "kubelet")
    with simulation.admin(first) as client:
        client.call("machine.MachineService/Bootstrap")
    simulation.kill()
    simulation.start()
    simulation.reaches("running", ready=True)
    with simulation.admin(first) as client:
        members = client.call("machine.MachineService/EtcdMemberList")["messages"][0]["members"]
    assert len(members) == 1


def test_a_machine_that_was_shut_down_stays_off_until_somebody_turns_it_on(
    make: Callable[..., Simulation],
) -> None:
    simulation = make(2, speed=40)
    simulation.reaches("maintenance")
    address = simulation.addresses[1]
    simulation.control(op="power-off", machine=address)
    simulation.kill()
    simulation.start()
    simulation.reaches("maintenance", simulation.addresses[0])
    assert simulation.machine(address)["powered"] is False
    simulation.control(op="power-on", machine=address)
    simulation.reaches("maintenance", address)


def test_a_clean_stop_ends_with_0_and_takes_the_ready_file_along(make: Callable[..., Simulation]) -> None:
    simulation = make(1)
    ready = json.loads((simulation.folder / "ready.json").read_text())
    assert simulation.process is not None
    assert ready["pid"] == simulation.process.pid
    assert ready["addresses"] == simulation.addresses
    assert Path(ready["control"]).stat().st_mode & 0o777 == 0o600
    assert simulation.stop() == 0
    assert sorted(path.name for path in simulation.folder.iterdir()) == [
        "calls.jsonl",
        "lock",
        "machines.sqlite",
    ]


def test_two_simulators_never_share_a_folder_or_an_address(
    make: Callable[..., Simulation], tmp_path: Path
) -> None:
    simulation = make(1)
    simulation.reaches("maintenance")
    for folder, said in (
        (simulation.folder, "another simulator runs here"),
        (tmp_path, "may use this address"),
    ):
        second = Simulation(folder, 1)
        second.use(simulation.addresses[0] if folder is tmp_path else second.first)
        status, text = second.fails()
        assert status == 2
        assert said in text


def test_a_deep_folder_is_no_obstacle(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    simulation = Simulation(deep, 1)
    simulation.start()
    assert (deep / "control.sock").is_socket()
    assert simulation.stop() == 0


def test_the_disks_are_for_the_owner_alone(make: Callable[..., Simulation]) -> None:
    simulation = make(1)
    assert (simulation.folder / "machines.sqlite").stat().st_mode & 0o777 == 0o600
