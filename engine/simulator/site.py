"""What the machines of one simulator share: the store of their disks, the pace, their clusters.

Neighbours: `fleet` makes one, every `machine` has it.
"""

from __future__ import annotations

from collections.abc import Callable

from engine.simulator.cluster import Cluster
from engine.simulator.disk import DiskStore
from engine.simulator.etcd import EtcdCluster
from engine.simulator.timing import Pace


class Site:
    """One per simulator; `etcd` has every etcd cluster by its key. `settled` is told of each change of a cluster."""

    def __init__(self, store: DiskStore, pace: Pace, settled: Callable[[Cluster], None]) -> None:
        self.store = store
        self.pace = pace
        self.etcd: dict[str, EtcdCluster] = store.clusters()
        self._settled = settled
        self._clusters: dict[str, Cluster] = {}

    def cluster(self, identity: str) -> Cluster:
        """The cluster of this id, made at the first question."""
        return self._clusters.setdefault(identity, Cluster(identity, self.store, self.etcd, self._settled))
