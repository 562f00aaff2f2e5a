"""The machines that share a cluster id, and the etcd they form together.

Machines of one cluster find each other here, as discovery and the control plane endpoint let
real ones do. Every change of membership is saved together with the disk it concerns, in one
transaction. Neighbours: `etcd` has the rules, `life` waits here, `api.etcd` asks and orders.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from engine.simulator import etcd
from engine.simulator.configuration import NodeConfig
from engine.simulator.disk import Disk, DiskStore
from engine.simulator.etcd import EtcdCluster, Member, Restored
from engine.simulator.membership import cluster_member
from engine.simulator.resources import ResourceStore
from engine.simulator.services import ServiceTable


class Node(Protocol):
    """What a cluster knows of one of its machines."""

    address: str
    disk: Disk
    config: NodeConfig | None
    services: ServiceTable
    static_pods: bool
    node_ready: bool
    boot_id: str
    version: str
    fault: Any

    @property
    def hostname(self) -> str:
        """Its name in the cluster."""

    def write(self, clusters: Mapping[str, EtcdCluster] | None = None, **changes: Any) -> None:
        """Change fields of the disk and save it, with etcd clusters if given."""


class Cluster:
    """One cluster id. All methods run in the simulator's loop; `settled` is told after every change."""

    def __init__(
        self,
        identity: str,
        store: DiskStore,
        known: dict[str, EtcdCluster],
        settled: Callable[[Cluster], None],
    ) -> None:
        self.id = identity
        self.machines: dict[str, Node] = {}
        self.members = ResourceStore()
        self._store = store
        self._etcd = known
        self._settled = settled
        self._waiting: list[asyncio.Future[None]] = []
        self._scheduled = False

    async def wait(self, condition: Callable[[], bool]) -> None:
        """Return once `condition` holds; it is asked again after every change in the cluster."""
        while not condition():
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(future)
            await future

    def touch(self) -> None:
        """Something in the cluster changed: settle etcd and ask the waiting ones again, soon."""
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._settle)

    def trustd(self, token: str) -> Node | None:
        """A control plane machine that signs certificates for workers that know `token`."""
        for machine in self.machines.values():
            config = machine.config
            if (
                config
                and config.control_plane
                and config.token == token
                and machine.services.is_running("trustd")
            ):
                return machine
        return None

    def kubernetes_api(self) -> bool:
        """Whether the Kubernetes API answers: static pods on a machine whose etcd is healthy."""
        return any(
            machine.static_pods and machine.services.is_well("etcd") for machine in self.machines.values()
        )

    def etcd_of(self, machine: Node) -> tuple[EtcdCluster, Member] | None:
        """The etcd cluster and the member that a machine's data belongs to, None without data or member."""
        if machine.disk.etcd is None:
            return None
        key, member_id = machine.disk.etcd
        known = self._etcd.get(key)
        member = known.member(member_id) if known else None
        return (known, member) if known and member else None

    def running(self, key: str) -> set[int]:
        """The ids of the members of an etcd cluster whose process runs on a reachable machine."""
        return {
            machine.disk.etcd[1]
            for machine in self.machines.values()
            if machine.disk.etcd
            and machine.disk.etcd[0] == key
            and machine.services.is_running("etcd")
            and machine.fault not in ("silence", "unplug")
        }

    def etcd_clusters(self) -> list[EtcdCluster]:
        """Every etcd cluster formed under this cluster id, oldest first; more than one is a split brain."""
        return [known for known in self._etcd.values() if known.talos_cluster == self.id]

    def joinable(self) -> EtcdCluster | None:
        """The etcd cluster that takes a new learner now."""
        for known in self.etcd_clusters():
            if etcd.may_join(known, self.running(known.key)):
                return known
        return None

    def bootstrap(self, machine: Node) -> None:
        """Form a new etcd cluster of this machine alone."""
        member = Member(etcd.new_member_id(), machine.hostname, machine.address)
        formed = etcd.form(self.id, member)
        self._keep(formed, machine, (formed.key, member.id))

    def restore(self, machine: Node, found: Restored) -> None:
        """Form a new etcd cluster of this machine alone, with what a snapshot holds."""
        member = Member(etcd.new_member_id(), machine.hostname, machine.address)
        formed = etcd.restored(self.id, member, found)
        self._keep(formed, machine, (formed.key, member.id))

    def put(self, machine: Node, key: str, value: str) -> bool:
        """Write a key into this machine's etcd; False when it has no member."""
        found = self.etcd_of(machine)
        if found is None:
            return False
        self._keep(etcd.put(found[0], key, value))
        return True

    def join(self, machine: Node, known: EtcdCluster) -> None:
        """Add this machine as a learner."""
        member = Member(etcd.new_member_id(), machine.hostname, machine.address)
        self._keep(etcd.with_learner(known, member), machine, (known.key, member.id))

    def promote(self, machine: Node) -> None:
        """Make this machine's learner a voter."""
        found = self.etcd_of(machine)
        if found and found[1].learner:
            self._keep(etcd.promoted(found[0], found[1].id))

    def forfeit(self, known: EtcdCluster) -> EtcdCluster:
        """Move leadership to another member and return the cluster after that."""
        self._keep(etcd.forfeited(known, self.running(known.key)))
        return self._etcd[known.key]

    def leave(self, machine: Node) -> None:
        """Remove this machine's member, stop its etcd and empty its data directory."""
        found = self.etcd_of(machine)
        machine.services.stop(["etcd"])
        if found is None:
            machine.write(etcd=None)
            return
        known, member = found
        self._keep(etcd.without(known, member.id, self.running(known.key)), machine, None)

    def remove(self, known: EtcdCluster, member_id: int) -> None:
        """Remove a member by id; its process, where it runs, ends with an error."""
        self._keep(etcd.without(known, member_id, self.running(known.key)))
        for machine in self.machines.values():
            if machine.disk.etcd == (known.key, member_id) and machine.services.is_running("etcd"):
                machine.services.move(
                    "etcd", "Failed", "the member has been permanently removed from the cluster"
                )

    def raise_alarm(self, machine: Node, alarm: str) -> bool:
        """Raise an alarm on this machine's member; False when it has none."""
        found = self.etcd_of(machine)
        if found is None:
            return False
        known, member = found
        self._keep(replace(known, alarms=(*known.alarms, (member.id, etcd.ALARMS.index(alarm)))))
        return True

    def disarm(self, known: EtcdCluster) -> None:
        """Clear all alarms."""
        self._keep(replace(known, alarms=()))

    def _keep(
        self, changed: EtcdCluster, machine: Node | None = None, data: tuple[str, int] | None = None
    ) -> None:
        if machine is None:
            self._store.save(clusters={changed.key: changed})
        else:
            machine.write(clusters={changed.key: changed}, etcd=data)
        self._etcd[changed.key] = changed
        self.touch()

    def _settle(self) -> None:
        self._scheduled = False
        for known in self.etcd_clusters():
            settled = etcd.settled(known, self.running(known.key))
            if settled is not known:
                self._store.save(clusters={known.key: settled})
                self._etcd[known.key] = settled
        for machine in self.machines.values():
            self._check_health(machine)
        self._publish()
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)
        self._settled(self)

    def _publish(self) -> None:
        # A machine that is off or reboots stays a member: discovery forgets it only after half an hour.
        found = [
            cluster_member(machine.disk, machine.config, machine.address)
            for machine in self.machines.values()
            if machine.disk.installed
        ]
        self.members.sync(dict(found))

    def _check_health(self, machine: Node) -> None:
        if not machine.services.is_running("etcd"):
            return
        found = self.etcd_of(machine)
        if found is None or not etcd.has_quorum(found[0], self.running(found[0].key)):
            machine.services.set_health("etcd", False, "context deadline exceeded")
        elif found[1].learner:
            machine.services.set_health("etcd", False, "etcdserver: rpc not supported for learner")
        else:
            machine.services.set_health("etcd", True)
