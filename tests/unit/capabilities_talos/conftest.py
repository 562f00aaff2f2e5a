"""Nodes that play an etcd cluster, and what a capability is given to reach them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "ports_talos"))

from talos_node import Network, identity

from engine.base.values import Opaque
from engine.capabilities.contract import Capability, Ports
from engine.ports.kube.clusters import Clusters
from engine.ports.talos.client import CallRecord, TalosClient

BUNDLE = Opaque("a bundle")


class _OneCluster:
    def __init__(self) -> None:
        self._who = identity()

    def of(self, bundle: Opaque, _now: float) -> Any:
        assert bundle == BUNDLE
        return self._who


class Runner:
    """Runs a capability in the client's loop; `asked` are the methods that were called, in order."""

    def __init__(self) -> None:
        self.records: list[CallRecord] = []
        self.client = TalosClient(loopback_only=True, on_call=self.records.append)
        self.client.start()
        self._identities = _OneCluster()

    @property
    def asked(self) -> list[str]:
        return [record.method.rpartition("/")[2] for record in self.records]

    def __call__(self, capability: Capability, *, dry_run: bool = False, **given: Any) -> Any:
        ports = Ports(
            talos=self.client,
            kube=None,  # type: ignore[arg-type]
            identities=self._identities,  # type: ignore[arg-type]
            clusters=Clusters(loopback_only=True),
            now=0.0,
            namespace="default",
            dry_run=dry_run,
        )
        assert capability.start is not None
        work: Any = capability.start(ports, {"identity": BUNDLE, **given})
        return self.client.run(work, timeout_s=60)


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    made = Network(tmp_path)
    yield made
    made.close()


@pytest.fixture
def run() -> Iterator[Callable[..., Any]]:
    runner = Runner()
    yield runner
    runner.client.close()
