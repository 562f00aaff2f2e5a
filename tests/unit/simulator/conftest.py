"""Simulators for the tests: real processes on addresses of their own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from simulator_process import Simulation


@pytest.fixture(scope="session")
def make(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Simulation]]:
    """Starts simulators; all are stopped at the end."""
    started: list[Simulation] = []

    def start(machines: int, **settings: Any) -> Simulation:
        simulation = Simulation(tmp_path_factory.mktemp("simulator"), machines, **settings)
        simulation.start()
        started.append(simulation)
        return simulation

    yield start
    for simulation in started:
        if simulation.process is not None and simulation.process.poll() is None:
            simulation.stop()


@pytest.fixture(scope="session")
def cluster(make: Callable[..., Simulation]) -> Simulation:
    """Three control plane machines and a worker, ready; tests leave them as they are."""
    simulation = make(4)
    simulation.bring_up(workers=1)
    return simulation


@pytest.fixture(scope="session")
def single(make: Callable[..., Simulation]) -> Simulation:
    """One control plane machine, ready; tests leave it ready but not unchanged."""
    simulation = make(1, speed=40)
    simulation.bring_up()
    return simulation
