"""The Kubernetes API of simulated clusters: real objects behind real TLS, on every control plane machine.

A machine serves it on port 6443 with the cluster's own authority while its static pods and etcd are well;
all machines of one etcd cluster serve the same objects. Takes nobody in without an administrator's certificate.
Neighbours: `kubernetes_objects` has the objects, `cluster` tells of changes, `process` starts and stops it.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import ssl
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from engine.machineconfig.certificates import Pair, issue
from engine.simulator.cluster import Cluster, Node
from engine.simulator.configuration import NodeConfig
from engine.simulator.kubernetes_objects import UNHEARD, Objects
from engine.simulator.tls import server_context

if TYPE_CHECKING:
    from engine.standalone.door import Door

PORT: Final = 6443
_CERTIFICATE_S: Final = 365 * 24 * 3600.0
_LOG = logging.getLogger(__name__)


class Kubernetes:
    """The APIs of all clusters of one simulator, their databases in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._states: dict[str, Objects] = {}
        self._doors: dict[str, tuple[str, str, Door]] = {}
        self._taken: set[str] = set()
        self._changed: dict[str, Cluster] = {}
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def settled(self, cluster: Cluster) -> None:
        """Something in the cluster changed; followed soon, in a task of its own."""
        self._changed[cluster.id] = cluster
        self._wake.set()

    def start(self) -> None:
        """Begin to follow the clusters."""
        self._task = asyncio.create_task(self._run(), name="kubernetes")

    async def stop(self) -> None:
        """Close every door; the databases stay."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        for address in list(self._doors):
            await self._close(address)
        for state in self._states.values():
            state.close()

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            changed, self._changed = self._changed, {}
            for cluster in changed.values():
                try:
                    await self._follow(cluster)
                except Exception:  # noqa: BLE001  a fault of ours must not end what is served
                    _LOG.exception("the Kubernetes API of cluster %s", cluster.id)

    async def _follow(self, cluster: Cluster) -> None:
        if any(machine.config and machine.config.control_plane for machine in cluster.machines.values()):
            # A second of computing, begun before it is needed; it must not stop the machines.
            await asyncio.to_thread(importlib.import_module, "engine.standalone.door")
        serving = {
            machine.address: key
            for machine in cluster.machines.values()
            if (key := _serves(cluster, machine))
        }
        for address, (identity, key, _) in list(self._doors.items()):
            if identity == cluster.id and serving.get(address) != key:
                await self._close(address)
        for address, key in serving.items():
            if address not in self._doors and address not in self._taken:
                await self._open(cluster, cluster.machines[address], key)
        for key in set(serving.values()) & self._states.keys():
            self._states[key].follow(list(cluster.machines.values()))

    async def _open(self, cluster: Cluster, machine: Node, key: str) -> None:
        from engine.standalone.door import Door

        if key not in self._states:
            self._states[key] = Objects(self._folder / f"kubernetes-{key}.db")
        config = machine.config
        if config is None or not config.kubernetes_authority.key:
            return
        door = Door(self._states[key].edge)
        try:
            await door.open(machine.address, PORT, _tls(machine, config))
        except OSError as error:
            self._taken.add(machine.address)
            _LOG.warning("no Kubernetes API on %s:%d: %s", machine.address, PORT, error.strerror)
            await door.close()
            return
        self._doors[machine.address] = (cluster.id, key, door)

    async def _close(self, address: str) -> None:
        *_, door = self._doors.pop(address)
        await door.close()


def _serves(cluster: Cluster, machine: Node) -> str:
    """The key of the etcd cluster whose objects a machine serves, "" when it serves none."""
    found = cluster.etcd_of(machine)
    well = machine.static_pods and machine.services.is_well("etcd") and machine.fault not in UNHEARD
    return found[0].key if found is not None and well else ""


def _tls(machine: Node, config: NodeConfig) -> ssl.SSLContext:
    """What the machine's API server shows; client certificates of the same authority are taken."""
    endpoint = urlsplit(config.endpoint).hostname or ""
    is_address = endpoint.replace(".", "").isdigit() or ":" in endpoint
    pair: Pair = issue(
        config.kubernetes_authority,
        now=time.time() - 10,
        ttl_s=_CERTIFICATE_S,
        common_name="kube-apiserver",
        server=True,
        addresses=sorted({machine.address, *([endpoint] if is_address else [])}),
        names=sorted(
            {machine.hostname, "kubernetes", "kubernetes.default.svc", *([] if is_address else [endpoint])}
            - {""}
        ),
    )
    return server_context(pair, [config.kubernetes_authority.crt], protocol="http/1.1", demanded=False)
