"""Everything that a MachineSpec can say, as the machines run it: one control plane and two workers.

The control plane's own settings (subnets, domain, CNI) are looked at here too.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.sim.cluster import Cluster, started
from tests.sim.shipped import API
from tests.sim.test_single_objects import at, control_plane

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

CONTROL, FIRST, SECOND = "127.0.1.1", "127.0.1.2", "127.0.1.3"
LIST = "cosi.resource.State/List"
POOL_IMAGE = "factory.example/installer/aaaa"
OWN_IMAGE = "factory.example/installer/bbbb:v1.13.0"
MIRRORS = {"mirrors": {"docker.io": {"endpoints": ["https://mirror.example"]}}}


def _sysctl(**values: str) -> dict[str, Any]:
    return {"machine": {"sysctls": {f"net.{key}": value for key, value in values.items()}}}


def _log(name: str) -> dict[str, str]:
    return {"apiVersion": "v1alpha1", "kind": "KmsgLogConfig", "name": name, "url": f"tcp://{name}:3478/"}


def _control_plane() -> dict[str, Any]:
    document = control_plane(
        "whole",
        at(CONTROL),
        podCIDR=["10.32.0.0/16"],
        serviceCIDR=["10.33.0.0/16"],
        clusterDomain="corp.example",
        cni={"name": "custom", "urls": ["https://cni.example/one.yaml"]},
    )
    document["spec"]["metalSpec"]["machineSpec"] = {
        "installDisk": "/dev/sdb",
        "allowSchedulingOnControlPlanes": True,
    }
    return document


def _workers() -> dict[str, Any]:
    own = {
        "image": OWN_IMAGE,
        "configPatches": [_sysctl(both="machine", own="1")],
        "additionalConfig": [_log("of-the-machine")],
    }
    pool = {
        "wipe": True,
        "image": POOL_IMAGE,
        "airGap": True,
        "imageCache": True,
        "registries": MIRRORS,
        "configPatches": [_sysctl(both="first", pool="1"), _sysctl(both="second")],
        "additionalConfig": [_log("of-the-pool")],
    }
    return {
        "apiVersion": API,
        "kind": "TalosWorker",
        "metadata": {"name": "whole-pool"},
        "spec": {
            "version": "v1.13.0",
            "kubeVersion": "v1.35.0",
            "mode": "metal",
            "controlPlaneRef": {"name": "whole"},
            "metalSpec": {"machines": [at(FIRST), {**at(SECOND), **own}], "machineSpec": pool},
        },
    }


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with started(tmp_path_factory.mktemp("sim") / "run", machines=3) as found:
        found.apply(_control_plane())
        found.apply(_workers())
        found.ready("TalosControlPlane", "whole")
        found.ready("TalosWorker", "whole-pool")
        yield found


def documents(cluster: Cluster, address: str) -> list[dict[str, Any]]:
    """What a machine runs: the main document first."""
    return list(yaml.safe_load_all(cluster.configuration(address, "whole")))


def main(cluster: Cluster, address: str) -> dict[str, Any]:
    return documents(cluster, address)[0]


def test_the_install_disk_of_the_spec_is_used_and_what_is_on_its_disks_is_not_asked_for(
    cluster: Cluster,
) -> None:
    assert main(cluster, CONTROL)["machine"]["install"]["disk"] == "/dev/sdb"
    assert cluster.run.machines()[CONTROL]["system_disk"] == "sdb"
    assert set(cluster.calls(LIST, ok=False)) == {FIRST, SECOND}


def test_wipe_is_asked_for_only_where_the_spec_says_so(cluster: Cluster) -> None:
    assert main(cluster, FIRST)["machine"]["install"]["wipe"] is True
    assert main(cluster, CONTROL)["machine"]["install"]["wipe"] is False


def test_an_image_without_a_tag_gets_the_version_and_a_machines_own_image_with_a_tag_stays(
    cluster: Cluster,
) -> None:
    images = [main(cluster, address)["machine"]["install"]["image"] for address in (CONTROL, FIRST, SECOND)]
    assert images == ["ghcr.io/siderolabs/installer:v1.13.0", f"{POOL_IMAGE}:v1.13.0", OWN_IMAGE]


def test_an_air_gapped_machine_asks_nobody_for_time_or_members(cluster: Cluster) -> None:
    found = main(cluster, FIRST)
    assert found["machine"]["time"]["disabled"] is True
    assert found["cluster"]["discovery"]["enabled"] is False
    assert main(cluster, CONTROL)["cluster"]["discovery"]["enabled"] is True


def test_an_image_cache_is_enabled_and_has_its_volume_on_the_system_disk(cluster: Cluster) -> None:
    assert main(cluster, FIRST)["machine"]["features"]["imageCache"]["localEnabled"] is True
    volumes = [each for each in documents(cluster, FIRST) if each.get("kind") == "VolumeConfig"]
    assert [(each["name"], each["provisioning"]["diskSelector"]["match"]) for each in volumes] == [
        ("IMAGECACHE", "system_disk")
    ]


def test_registries_are_taken_over_as_they_are(cluster: Cluster) -> None:
    assert main(cluster, FIRST)["machine"]["registries"] == MIRRORS


def test_patches_apply_in_their_order_those_of_the_machine_after_those_of_the_pool(cluster: Cluster) -> None:
    assert main(cluster, FIRST)["machine"]["sysctls"] == {"net.both": "second", "net.pool": "1"}
    assert main(cluster, SECOND)["machine"]["sysctls"] == {
        "net.both": "machine",
        "net.pool": "1",
        "net.own": "1",
    }


def test_additional_documents_of_the_pool_come_before_those_of_the_machine(cluster: Cluster) -> None:
    names = {
        address: [each["name"] for each in documents(cluster, address) if each.get("kind") == "KmsgLogConfig"]
        for address in (FIRST, SECOND)
    }
    assert names == {FIRST: ["of-the-pool"], SECOND: ["of-the-pool", "of-the-machine"]}


def test_control_planes_take_workloads_where_the_spec_says_so(cluster: Cluster) -> None:
    assert main(cluster, CONTROL)["cluster"]["allowSchedulingOnControlPlanes"] is True


def test_domain_and_subnets_of_the_cluster_reach_every_machine_and_the_cni_the_control_plane(
    cluster: Cluster,
) -> None:
    for address in (CONTROL, FIRST, SECOND):
        network = main(cluster, address)["cluster"]["network"]
        assert network["dnsDomain"] == "corp.example"
        assert network["podSubnets"] == ["10.32.0.0/16"]
        assert network["serviceSubnets"] == ["10.33.0.0/16"]
    cni = main(cluster, CONTROL)["cluster"]["network"]["cni"]
    assert cni == {"name": "custom", "urls": ["https://cni.example/one.yaml"]}


def test_the_base_configurations_have_the_patches_of_the_pool_and_none_of_one_machine(
    cluster: Cluster,
) -> None:
    data = cluster.get("ConfigMap", "whole-pool-config", "v1")["data"]
    base = list(yaml.safe_load_all(b64decode(data["worker.yaml"])))
    assert base[0]["machine"]["sysctls"] == {"net.both": "second", "net.pool": "1"}
    assert base[0]["cluster"]["network"]["dnsDomain"] == "corp.example"
