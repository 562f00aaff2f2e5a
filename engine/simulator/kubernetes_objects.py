"""The Kubernetes objects of one etcd cluster, kept beside the disks: Nodes, and what clients put there.

A kubelet registers its Node when it starts, and the Node goes not ready with its machine; nobody but a client
deletes one. What keeps and serves them is the embedded API, imported when it is first needed; no pods, no
controllers. Neighbour: `kubernetes` opens the doors to it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from engine.simulator.cluster import Node
from engine.simulator.configuration import version_of_image

if TYPE_CHECKING:
    from engine.standalone.http import Edge

UNHEARD: Final = frozenset({"silence", "unplug", "refuse"})
"""Faults of the network under which nobody hears of a machine."""
_ADMINISTRATORS: Final = "system:masters"
_KINDS: Final = Path(__file__).with_name("kubernetes_kinds.yaml")


class Objects:
    """What the API server of one etcd cluster has; `edge` answers for it."""

    def __init__(self, database: Path) -> None:
        from engine.standalone.admission import WriteOptions
        from engine.standalone.api import Api
        from engine.standalone.cluster import Cluster
        from engine.standalone.definitions import kinds_of
        from engine.standalone.http import Edge, by_certificate

        (self._node,) = kinds_of(_KINDS)
        self._cluster = Cluster(database, None, kinds=[self._node])
        self._options = WriteOptions(manager="kubelet")
        self._registered: dict[str, str] = {}
        self.edge: Edge = Edge(Api(self._cluster, ""), by_certificate(_ADMINISTRATORS))

    def close(self) -> None:
        """Close the database."""
        self._cluster.store.close()

    def follow(self, machines: Iterable[Node]) -> None:
        """Register the kubelets that have started; tell of every Node whether its kubelet is heard."""
        heard = {
            machine.hostname: machine
            for machine in machines
            if machine.node_ready and machine.fault not in UNHEARD
        }
        for name, machine in heard.items():
            if self._registered.get(machine.address) != machine.boot_id:
                self._registered[machine.address] = machine.boot_id
                self._register(name, machine)
        for place in self._cluster.store.names(self._node.storage):
            self._judge(place.name, place.name in heard)

    def _register(self, name: str, machine: Node) -> None:
        """The Node as its kubelet writes it, made where it is not there."""
        from engine.standalone.failures import ApiFailure

        config = machine.config
        labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}
        if config is not None and config.control_plane:
            labels["node-role.kubernetes.io/control-plane"] = ""
        body = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}, "spec": {}}
        with suppress(ApiFailure):  # it exists
            self._cluster.objects.create(self._node, "", body, self._options)
        version = version_of_image(config.kubelet_image) if config is not None else None
        self._put_status(
            name,
            {
                "addresses": [
                    {"type": "InternalIP", "address": machine.address},
                    {"type": "Hostname", "address": name},
                ],
                "nodeInfo": {
                    "kubeletVersion": version or "",
                    "osImage": f"Talos ({machine.version})",
                    "bootID": machine.boot_id,
                },
                "conditions": [_ready(True)],
            },
        )

    def _judge(self, name: str, heard: bool) -> None:
        status = self._cluster.objects.read(self._node, "", name).get("status") or {}
        told = any(
            item["type"] == "Ready" and item["status"] == "True" for item in status.get("conditions") or ()
        )
        if told is not heard:
            self._put_status(name, {**status, "conditions": [_ready(heard)]})

    def _put_status(self, name: str, status: Mapping[str, Any]) -> None:
        live = self._cluster.objects.read(self._node, "", name)
        changed = {**live, "status": dict(status)}
        self._cluster.objects.replace(self._node, "", name, changed, self._options, status=True)


def _ready(heard: bool) -> dict[str, str]:
    status, reason = ("True", "KubeletReady") if heard else ("Unknown", "NodeStatusUnknown")
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return {"type": "Ready", "status": status, "reason": reason, "lastTransitionTime": now}
