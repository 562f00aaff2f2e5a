"""The embedded API server that the tests of the spine share, and what stands on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.standalone import StandaloneApi
from tests.unit.spine import capabilities
from tests.unit.spine.server import Server, serve


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandaloneApi]:
    folder: Path = tmp_path_factory.mktemp("spine")
    (folder / "crds").mkdir()
    api = StandaloneApi(folder, folder / "crds")
    api.start()
    yield api
    api.stop()


@pytest.fixture
def server(running: StandaloneApi, request: pytest.FixtureRequest) -> Iterator[Server]:
    """A client in a namespace of the test's own, with every request it makes written down."""
    with serve(running) as found:
        yield found


@pytest.fixture(autouse=True)
def _forget_answers() -> Iterator[None]:
    yield
    capabilities.ANSWERS.clear()
    capabilities.CALLS.clear()
    capabilities.COMPUTED.clear()
