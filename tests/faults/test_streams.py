"""What machines do shows in the metrics at once: told by them, or by the end of their connection.

Measured from the order to the simulated machine until a scrape shows it, on real sockets, over the whole way:
machine, its object, its parent, the metric.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest

from tests.sim.cluster import Cluster, quickstart, started
from tests.sim.shipped import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

CHANGE_S = 1.0
VANISHED_S = 5.0
FAR_S = 30.0
CONTROL_PLANE, WORKER = "127.0.1.2", "127.0.1.5"


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The example with its metrics, Ready and at rest."""
    with started(tmp_path_factory.mktemp("streams") / "run", machines=5) as cluster:
        cluster.apply(quickstart())
        yield cluster


@pytest.fixture
def cluster(standing: Cluster) -> Cluster:
    """Ready, every machine watched."""
    standing.ready(deadline_s=90)
    until("every machine is watched", lambda: value(standing, "talos_operator_talos_watches_open") == 5)
    until("all count as ready", lambda: ready(standing) == 5 and health(standing) == 1)
    time.sleep(1.5)  # at rest: what follows is not helped by a look that was due anyway
    return standing


def value(cluster: Cluster, name: str) -> float:
    """The sum of a metric's series."""
    found = re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", cluster.metrics(), re.MULTILINE)
    return sum(float(each) for each in found)


def health(cluster: Cluster) -> float:
    return value(cluster, "talos_operator_cluster_health")


def ready(cluster: Cluster) -> float:
    return value(cluster, "talos_operator_machine_ready")


def seconds_until(cluster: Cluster, machines: int, healthy: int, since: float) -> tuple[float, float]:
    """How long it took until so many machines counted as ready, and until the cluster was so healthy."""
    took: dict[str, float] = {}
    while len(took) < 2 and time.monotonic() < since + FAR_S:
        if ready(cluster) == machines:
            took.setdefault("ready", time.monotonic() - since)
        if health(cluster) == healthy:
            took.setdefault("health", time.monotonic() - since)
        time.sleep(0.01)
    assert len(took) == 2, f"not within {FAR_S:g} s: {took}"
    return took["ready"], took["health"]


def ordered(cluster: Cluster, *operations: str, machine: str = CONTROL_PLANE, **more: str) -> float:
    began = time.monotonic()
    for operation in operations:
        cluster.run.control(op=operation, machine=machine, **more)
    return began


def test_a_service_that_fails_and_recovers_shows_within_a_second(cluster: Cluster) -> None:
    began = ordered(cluster, "unhealthy", service="kubelet")
    assert max(seconds_until(cluster, 4, 0, began)) < CHANGE_S
    began = ordered(cluster, "healthy", service="kubelet")
    assert max(seconds_until(cluster, 5, 1, began)) < CHANGE_S


def test_a_worker_that_fails_shows_within_a_second_and_leaves_the_cluster_healthy(cluster: Cluster) -> None:
    began = ordered(cluster, "unhealthy", machine=WORKER, service="kubelet")
    assert max(seconds_until(cluster, 4, 1, began)) < CHANGE_S
    ordered(cluster, "healthy", machine=WORKER, service="kubelet")


def test_a_machine_that_loses_its_power_and_says_so_shows_within_a_second(cluster: Cluster) -> None:
    began = ordered(cluster, "power-off")
    assert max(seconds_until(cluster, 4, 0, began)) < CHANGE_S
    ordered(cluster, "power-on")


def test_a_machine_that_ends_its_connections_and_answers_nothing_any_more_shows_within_a_second(
    cluster: Cluster,
) -> None:
    began = ordered(cluster, "unplug", "power-off")
    assert max(seconds_until(cluster, 4, 0, began)) < CHANGE_S
    ordered(cluster, "heal", "power-on")


def test_a_machine_whose_packets_vanish_shows_within_five_seconds(cluster: Cluster) -> None:
    began = ordered(cluster, "unplug")
    assert max(seconds_until(cluster, 4, 0, began)) < VANISHED_S
    began = ordered(cluster, "heal")
    assert max(seconds_until(cluster, 5, 1, began)) < 10
