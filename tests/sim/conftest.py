"""One cluster for all tests of a module that take `cluster`; each test finds it as the example describes it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.sim.cluster import Cluster, quickstart, started

SPARE_MACHINES = 6


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The example on five of six machines, brought up once a module."""
    with started(tmp_path_factory.mktemp("sim") / "run", machines=SPARE_MACHINES) as cluster:
        yield cluster


@pytest.fixture
def cluster(standing: Cluster) -> Cluster:
    """The example, Ready: what a former test has changed is changed back."""
    standing.apply(quickstart())
    standing.ready()
    return standing
