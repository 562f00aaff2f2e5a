"""The image as `make image` builds it, once; and an API for its containers to work on."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from engine.base.yamltext import load_documents
from tests.conftest import ROOT
from tests.image import tools
from tests.image.base import base_image
from tests.image.container import Container, started, until
from tests.image.tools import Tool

NAMESPACE = "talos-operator-system"
IMAGE = "localhost/talos-operator-test:latest"


@pytest.fixture(scope="session")
def tool() -> Iterator[Tool]:
    """Fails, and does not skip: who asks for these tests means them."""
    try:
        found = tools.find()
    except tools.NoTool as error:
        pytest.fail(str(error), pytrace=False)
    yield found
    tools.let_go(found)


@pytest.fixture(scope="session")
def build(tool: Tool) -> Callable[[str], str]:
    """Builds under a name what is in the checkout, and gives the image's digest."""
    try:
        base = base_image(tool)
    except tools.NoTool as error:
        pytest.fail(str(error), pytrace=False)

    def make(name: str) -> str:
        environment = {**os.environ, **tool.environment, "BUILDER": tool.name, "BASE_IMAGE": base}
        done = subprocess.run(
            [ROOT / "config" / "build-image", name],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return tool("image", "inspect", "--format={{.Id}}", name).stdout.strip()

    return make


@pytest.fixture(scope="session")
def image(build: Callable[[str], str]) -> str:
    build(IMAGE)
    return IMAGE


@pytest.fixture(scope="session")
def pod() -> dict[str, Any]:
    """The pod of dist/install.yaml."""
    found = load_documents((ROOT / "dist" / "install.yaml").read_text("utf-8"))
    (deployment,) = (item for item in found if item["kind"] == "Deployment")
    pod: dict[str, Any] = deployment["spec"]["template"]["spec"]
    return pod


@dataclass(frozen=True)
class Cluster:
    """What a pod finds in a cluster: an API on its loopback, and a service account to use it with."""

    api: Container
    environment: tuple[str, ...]
    account: Path
    token: str

    @property
    def flags(self) -> list[str]:
        place = "/var/run/secrets/kubernetes.io/serviceaccount"
        return [f"--volume={self.account}:{place}:ro", *(f"--env={each}" for each in self.environment)]


@pytest.fixture(scope="module")
def cluster(tool: Tool, image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The embedded API in a container; those of the engine join its loopback."""
    folder, account = tmp_path_factory.mktemp("api"), tmp_path_factory.mktemp("account")
    flags = ["--user=0:0", f"--volume={folder}:/state", "--entrypoint=python"]
    with started(tool, image, ["-m", "engine.standalone", "/state"], flags) as api:
        until("the API serves", lambda: "serving" in api.log(), api.log)
        (named,) = yaml.safe_load((folder / "kubeconfig").read_text("utf-8"))["clusters"]
        address = urlsplit(named["cluster"]["server"])
        token = (folder / "token").read_text("utf-8").strip()
        (account / "token").write_text(token, "utf-8")
        (account / "namespace").write_text(NAMESPACE, "utf-8")
        body = json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        headers = (f"Authorization: Bearer {token}", "Content-Type: application/json")
        made = api.ask(f"{named['cluster']['server']}/api/v1/namespaces", *headers, body=body)
        assert made[0] == 201, made
        (account / "ca.crt").write_bytes((folder / "ca.crt").read_bytes())
        account.chmod(0o755)
        environment = (
            f"KUBERNETES_SERVICE_HOST={address.hostname}",
            f"KUBERNETES_SERVICE_PORT={address.port}",
        )
        yield Cluster(api, environment, account, token)
