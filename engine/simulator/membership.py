"""What discovery tells the machines of a cluster about each other: the resource Member (talos-api 1.6).

Pure. Neighbours: `cluster` publishes it, `api.cosi` encodes it.
"""

from __future__ import annotations

from typing import Any, Final

from engine.simulator.configuration import NodeConfig, read_config
from engine.simulator.disk import Disk
from engine.simulator.resources import Name, Spec

MEMBERS: Final = "Members.cluster.talos.dev"
API_SERVER_PORT: Final = 6443


def cluster_member(disk: Disk, active: NodeConfig | None, address: str) -> tuple[Name, Spec]:
    """What the other machines of the cluster see of this one, also while it is off.

    `active` is its running configuration, None while it has none; then the saved one speaks.
    """
    config = active or read_config(disk.config or "")
    hostname = config.host_name(disk.identity)
    spec: dict[str, Any] = {
        "node_id": disk.identity,
        "addresses": [address],
        "hostname": hostname,
        "machine_type": "TYPE_CONTROL_PLANE" if config.control_plane else "TYPE_WORKER",
        "operating_system": f"Talos ({disk.installed})",
    }
    if config.control_plane:
        spec["control_plane"] = {"api_server_port": API_SERVER_PORT}
    return (MEMBERS, hostname), spec
