"""The disks of a machine: which it shows, which it can be installed on, which it runs from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import pytest
import yaml
from simulator_process import Simulation, config, until

from engine.base.errors import SettingsError
from engine.simulator.configuration import read_config
from engine.simulator.hardware import GIB, read_disks
from engine.simulator.installing import NoDisk, choose
from engine.simulator.settings import SimulatorSettings

DISKS = "storage.StorageService/Disks"
WIPE = "storage.StorageService/BlockDeviceWipe"


@pytest.fixture(scope="module")
def mixed(make: Callable[..., Simulation]) -> Simulation:
    """A machine with an NVMe, one that boots from a stick, one with only what cannot be used, three more like the first."""
    first, more = "sda:20,nvme0n1:100,sdb:50:hdd,sdc:10:ro,sr0", "/sda,vda"
    simulation = make(6, speed=40, disks=f"{first}/sda:8:boot,sdb:20/sdb:4:ro,sr0" + more)
    simulation.reaches("maintenance")
    return simulation


def disks(simulation: Simulation, address: str, *roles: str) -> dict[str, dict[str, Any]]:
    with simulation.client(address, *roles) as client:
        listed = client.call(DISKS)["messages"][0]["disks"]
    return {disk["name"]: disk for disk in listed}


def volumes(simulation: Simulation, address: str, *roles: str) -> dict[str, dict[str, Any]]:
    request = {"namespace": "runtime", "type": "DiscoveredVolumes.block.talos.dev"}
    with simulation.client(address, *roles) as client:
        found = list(client.stream("cosi.resource.State/List", request))
    return {item.resource.metadata.id: yaml.safe_load(item.resource.spec.yaml_spec) for item in found}


def installs_on(simulation: Simulation, address: str, **install: Any) -> str | None:
    """The system disk after a configuration with this `machine.install`; None when it was refused for a disk."""
    boot = simulation.machine(address)["boot_id"]
    simulation.apply(address, config("worker", install=install))
    until(
        lambda: (
            simulation.machine(address)["installed"]
            or simulation.machine(address)["boot_id"] not in ("", boot)
        ),
        "the installation",
    )
    return simulation.machine(address)["system_disk"]  # type: ignore[no-any-return]


def test_a_machine_shows_its_own_disks_in_their_order(mixed: Simulation) -> None:
    shown = disks(mixed, mixed.addresses[0])
    assert list(shown) == ["sda", "nvme0n1", "sdb", "sdc", "sr0"]
    assert [disk["type"] for disk in shown.values()] == ["SSD", "NVME", "HDD", "SSD", "CD"]
    assert [name for name, disk in shown.items() if disk["readonly"]] == ["sdc", "sr0"]
    assert shown["nvme0n1"]["size"] == 100 * GIB
    assert not any(disk["system_disk"] for disk in shown.values())
    assert list(disks(mixed, mixed.addresses[1])) == ["sda", "sdb"]


def test_the_boot_medium_is_known_by_its_file_system(mixed: Simulation) -> None:
    found = volumes(mixed, mixed.addresses[1])
    assert [name for name, volume in found.items() if volume.get("name") == "iso9660"] == ["sda"]
    assert found["sda"]["label"] == "TALOS_V1_13_9"
    assert disks(mixed, mixed.addresses[1])["sda"]["readonly"] is False


@pytest.mark.parametrize("disk", ["/dev/sdc", "/dev/sr0", "/dev/vda"])
def test_nothing_is_installed_where_it_cannot_be(mixed: Simulation, disk: str) -> None:
    assert installs_on(mixed, mixed.addresses[0], disk=disk) is None
    mixed.reaches("maintenance", mixed.addresses[0])


def test_nothing_is_installed_over_the_medium_that_it_boots_from(mixed: Simulation) -> None:
    assert installs_on(mixed, mixed.addresses[1], disk="/dev/sda") is None
    mixed.reaches("maintenance", mixed.addresses[1])


def test_the_system_disk_is_the_one_that_the_configuration_names(mixed: Simulation) -> None:
    address = mixed.addresses[0]
    mixed.reaches("maintenance", address)
    assert installs_on(mixed, address, disk="/dev/nvme0n1") == "nvme0n1"
    # A worker's API waits for a control plane machine.
    mixed.apply(mixed.addresses[3], config("controlplane"))
    until(lambda: mixed.machine(address)["services"].get("apid") == "Running", "the API")
    shown = disks(mixed, address, "os:reader")
    assert [name for name, disk in shown.items() if disk["system_disk"]] == ["nvme0n1"]
    assert volumes(mixed, address, "os:reader")["nvme0n1p4"]["partitionLabel"] == "META"
    mixed.kill()
    mixed.start()
    assert mixed.machine(address)["system_disk"] == "nvme0n1"


@pytest.mark.parametrize(
    ("selector", "chosen"),
    [
        ({"size": ">= 40GB"}, "nvme0n1"),
        ({"type": "hdd"}, "sdb"),
        ({"name": "/dev/*"}, None),
        ({"serial": "SIM-0001"}, "sda"),
        ({"size": "<= 30GiB", "model": "SIMULATED *"}, "sda"),
    ],
)
def test_a_selector_chooses_the_first_disk_that_fits(selector: dict[str, str], chosen: str | None) -> None:
    text = config("worker", install={"diskSelector": selector})
    hardware = read_disks(("sda:20", "sr0", "sdc:ro", "nvme0n1:100", "sdb:50:hdd", "sdd:500:boot"))
    if chosen is None:
        with pytest.raises(NoDisk):
            choose(read_config(text), hardware)
    else:
        assert choose(read_config(text), hardware).name == chosen


def test_a_selector_counts_more_than_a_path() -> None:
    text = config("worker", install={"disk": "/dev/sda", "diskSelector": {"type": "nvme"}})
    assert choose(read_config(text), read_disks(("sda", "nvme0n1"))).name == "nvme0n1"


def test_disks_are_exchanged_through_the_control_socket(mixed: Simulation) -> None:
    address = mixed.addresses[2]
    mixed.reaches("maintenance", address)
    assert list(disks(mixed, address)) == ["sdb", "sr0"]
    assert mixed.control(op="disks", machine=address, disks=["nvme1n1:10", "sda"])["ok"]
    assert list(disks(mixed, address)) == ["nvme1n1", "sda"]
    mixed.kill()
    mixed.start()
    mixed.reaches("maintenance", address)
    assert list(disks(mixed, address)) == ["nvme1n1", "sda"]
    assert installs_on(mixed, address, disk="/dev/nvme1n1") == "nvme1n1"
    said = mixed.control(op="disks", machine=address, disks=["sda"])
    assert "runs from nvme1n1" in said["error"]


def test_a_disk_in_use_is_not_wiped(mixed: Simulation) -> None:
    said = {}
    with mixed.client(mixed.addresses[1]) as client:
        for name in ("sda", "sdb", "sdz"):
            try:
                client.call(WIPE, {"devices": [{"device": name}]})
            except grpc.RpcError as error:
                said[name] = error.code().name
    assert said == {"sda": "FAILED_PRECONDITION", "sdz": "NOT_FOUND"}


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (("hda",), "no name of a disk"),
        (("sda:big",), "neither a size in GiB nor one of hdd, ssd, ro, boot"),
        (("sda:0",), "neither a size"),
        (("sda", "sda:5"), "named twice"),
    ],
)
def test_disks_that_make_no_sense_are_refused_with_the_reason(texts: tuple[str, ...], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        SimulatorSettings(1, disks=(texts,)).check()
