"""The API under test: the embedded one, or the cluster that CONFORMANCE_KUBECONFIG names.

Against a cluster, `CONFORMANCE_KUBECONFIG` is a kubeconfig with a bearer token and CA data. The kinds of
`widgets.yaml` are created through the API on both.
"""

from __future__ import annotations

import base64
import importlib.util
import os
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

HERE = Path(__file__).parent


def _load(name: str) -> Any:
    """A module beside this file; test folders are no packages."""
    full = f"conformance_{name}"
    if full not in sys.modules:
        spec = importlib.util.spec_from_file_location(full, HERE / f"{name}.py")
        assert spec and spec.loader
        sys.modules[full] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[full])
    return sys.modules[full]


@pytest.fixture(scope="session")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    given = os.environ.get("CONFORMANCE_KUBECONFIG")
    if given:
        yield Path(given)
        return
    from engine.standalone import StandaloneApi

    folder = tmp_path_factory.mktemp("api")
    (folder / "crds").mkdir()
    api = StandaloneApi(folder / "state", folder / "crds")
    api.start()
    yield api.kubeconfig
    api.stop()


@pytest.fixture(scope="session")
def client(kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    config = yaml.safe_load(kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    ca = tmp_path_factory.mktemp("ca") / "ca.crt"
    ca.write_bytes(base64.b64decode(cluster["certificate-authority-data"]))
    made = _load("client").Client(cluster["server"], user["token"], ca)
    for document in yaml.safe_load_all((HERE / "widgets.yaml").read_text()):
        answer = made.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", document)
        assert answer.code in (201, 409), answer.body
        deadline = time.monotonic() + 10
        spec = document["spec"]
        path = f"/apis/{spec['group']}/{spec['versions'][0]['name']}/{spec['names']['plural']}"
        while made.get(path).code != 200:
            assert time.monotonic() < deadline, f"{path} is not served"
    return made


@pytest.fixture
def space(client: Any) -> str:
    """The URL of the widgets of a fresh namespace."""
    name = f"t-{uuid.uuid4().hex[:10]}"
    answer = client.post("/api/v1/namespaces", {"metadata": {"name": name}})
    assert answer.code == 201, answer.body
    return f"/apis/example.test/v1/namespaces/{name}/widgets"


@pytest.fixture
def until() -> Callable[[Callable[[], Any]], Any]:
    def wait(ask: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + 15
        while not (found := ask()):
            assert time.monotonic() < deadline, "it did not happen"
            time.sleep(0.02)
        return found

    return wait


@pytest.fixture
def widget() -> Callable[..., dict[str, Any]]:
    def make(name: str, metadata: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
        spec.setdefault("size", 1)
        head = {
            "apiVersion": "example.test/v1",
            "kind": "Widget",
            "metadata": {"name": name, **(metadata or {})},
        }
        return {**head, "spec": spec}

    return make


@pytest.fixture(scope="session")
def kubectl(kubeconfig: Path, client: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    found = _load("kubectl").find()
    if found is None:
        pytest.skip("no kubectl on PATH and no wheel that carries one is installed")
    return _load("kubectl").Kubectl(found, kubeconfig, tmp_path_factory.mktemp("kubectl-home"))
