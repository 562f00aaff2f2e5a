"""Nodes and clients for the tests of the Talos client."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from talos_node import Network

from engine import protocol
from engine.base.tenure import Tenure
from engine.ports.talos.client import CallRecord, TalosClient
from engine.ports.talos.identity import Identity


class Caller:
    """A started client, its calls as plain functions, and what it counted."""

    def __init__(self, capacity: int = 50, tenure: Tenure | None = None) -> None:
        self.records: list[CallRecord] = []
        self.client = TalosClient(
            loopback_only=True, capacity=capacity, on_call=self.records.append, tenure=tenure
        )
        self.client.start()

    def work(self, where: str, who: Identity | None, method: str = "Version", **options: Any) -> Any:
        path = method if "/" in method else f"machine.MachineService/{method}"
        message = protocol.to_message(protocol.methods()[path], options.pop("request", {}))
        return self.client.call(where, who, path, message, **{"deadline_s": 10.0, **options})

    def __call__(self, where: str, who: Identity | None, method: str = "Version", **options: Any) -> Any:
        return self.client.run(self.work(where, who, method, **options), timeout_s=30)


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    made = Network(tmp_path)
    yield made
    made.close()


@pytest.fixture
def callers() -> Iterator[Callable[..., Caller]]:
    made: list[Caller] = []

    def make(**settings: Any) -> Caller:
        made.append(Caller(**settings))
        return made[-1]

    yield make
    for caller in made:
        caller.client.close()


@pytest.fixture
def call(callers: Callable[..., Caller]) -> Caller:
    return callers()
