"""The install disk that nobody named: every machine is asked for its own disks."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import pytest
import yaml

from tests.sim.cluster import APPLY, Cluster, started
from tests.sim.shipped import until
from tests.sim.test_single_objects import at, control_plane

pytestmark = pytest.mark.timeout(90)

DISKS = {
    "127.0.1.1": ["sda:20", "nvme0n1:100", "sr0"],
    "127.0.1.2": ["vda:20", "nvme0n1:10:ro", "sda:20"],
    "127.0.1.3": ["sda:8:boot", "nvme0n1:4:ro", "sdb:20:hdd"],
    "127.0.1.4": ["sda:8:boot", "sr0"],
}
SPARE, CHOOSY = "127.0.1.5", "127.0.1.6"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with started(tmp_path_factory.mktemp("sim") / "run", machines=len(DISKS) + 2) as found:
        for address, disks in DISKS.items():
            found.run.control(op="disks", machine=address, disks=disks)
        yield found


def test_each_machine_is_installed_on_the_best_of_its_own_disks_and_never_on_what_it_boots_from(
    cluster: Cluster,
) -> None:
    cluster.apply(control_plane("disks", *(at(address) for address in DISKS)))
    chosen = ("127.0.1.1", "127.0.1.2", "127.0.1.3")
    until("they are installed", lambda: all(cluster.run.machines()[each]["system_disk"] for each in chosen))
    assert [cluster.run.machines()[each]["system_disk"] for each in chosen] == ["nvme0n1", "sda", "sdb"]
    until("the talosconfig is written", lambda: cluster.find("Secret", "disks-talosconfig", "v1"))
    for address in chosen:
        text = until("it answers", lambda at=address: _configuration(cluster, at))
        install = next(iter(yaml.safe_load_all(text)))["machine"]["install"]
        assert install["disk"] == f"/dev/{cluster.run.machines()[address]['system_disk']}"


def test_a_machine_without_a_disk_to_install_on_says_so_and_is_sent_nothing(cluster: Cluster) -> None:
    told = cluster.says("TalosMachine", "disks-127.0.1.4", "ConfigValid", "NoInstallDisk")
    assert "/dev/sda, /dev/sr0" in told["message"]
    assert "127.0.1.4" not in cluster.calls(APPLY, ok=False)
    cluster.run.control(op="disks", machine="127.0.1.4", disks=["sda:8:boot", "sdb"])
    until("a disk that is built in is found", lambda: "127.0.1.4" in cluster.calls(APPLY), deadline_s=20)


def test_a_named_disk_that_a_machine_does_not_have_is_told_before_anything_is_sent(cluster: Cluster) -> None:
    document = control_plane("named", at(SPARE))
    document["spec"]["metalSpec"]["machineSpec"] = {"installDisk": "/dev/nvme0n1"}
    cluster.apply(document)
    told = cluster.says("TalosMachine", f"named-{SPARE}", "ConfigValid", "InstallDiskNotFound")
    assert "no /dev/nvme0n1 that can be written; it has /dev/sda" in told["message"]
    assert SPARE not in cluster.calls(APPLY, ok=False)
    document["spec"]["metalSpec"]["machineSpec"] = {"installDisk": "/dev/sdb"}
    cluster.apply(document)
    until("it is installed", lambda: cluster.run.machines()[SPARE]["system_disk"] == "sdb", deadline_s=20)


def test_a_disk_selector_of_the_user_chooses_the_disk_and_nothing_differs_afterwards(
    cluster: Cluster,
) -> None:
    document = control_plane("choosy", at(CHOOSY))
    patch = {"machine": {"install": {"diskSelector": {"size": ">= 40GB"}}}}
    document["spec"]["metalSpec"]["machineSpec"] = {"configPatches": [patch]}
    cluster.apply(document)
    cluster.says("TalosMachine", f"choosy-{CHOOSY}", "ConfigApplied", "ConfigApplied")
    assert cluster.run.machines()[CHOOSY]["system_disk"] == "sdb"
    assert cluster.calls(APPLY, ok=False).count(CHOOSY) == 1


def _configuration(cluster: Cluster, address: str) -> str:
    try:
        return cluster.configuration(address, "disks")
    except (OSError, grpc.RpcError):  # it boots
        return ""
