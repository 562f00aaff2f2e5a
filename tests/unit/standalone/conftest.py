"""An embedded API in a temporary folder, and a client for it."""

from __future__ import annotations

import base64
import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.base.assets import asset
from engine.standalone import StandaloneApi

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def client_of() -> Callable[[Path], Any]:
    """A client of the conformance suite for a state directory."""
    spec = importlib.util.spec_from_file_location(
        "standalone_client", HERE.parents[1] / "conformance" / "client.py"
    )
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["standalone_client"] = module
    spec.loader.exec_module(module)

    def make(directory: Path) -> Any:
        config = yaml.safe_load((directory / "kubeconfig").read_text())
        cluster = config["clusters"][0]["cluster"]
        ca = directory / "client-ca.crt"
        ca.write_bytes(base64.b64decode(cluster["certificate-authority-data"]))
        return module.Client(cluster["server"], config["users"][0]["user"]["token"], ca)

    return make


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., StandaloneApi]]:
    """Starts servers on `tmp_path/api`, and stops them all."""
    started: list[StandaloneApi] = []

    def make(directory: Path = tmp_path / "api", crds: Path | None = None, **more: Any) -> StandaloneApi:
        api = StandaloneApi(directory, crds or asset("schemas", "crds"), **more)
        started.append(api)
        api.start()
        return api

    yield make
    for api in started:
        api.stop()


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory, client_of: Callable[[Path], Any]) -> Iterator[Any]:
    """A client of an API that serves the shipped CRDs."""
    directory = tmp_path_factory.mktemp("shipped")
    api = StandaloneApi(directory, asset("schemas", "crds"))
    api.start()
    yield client_of(directory)
    api.stop()
