"""A scripted API server and clients of it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import yaml

from engine.base.kinds import Kind
from engine.ports.kube.client import KubeClient
from tests.unit.kube.scripted import ScriptedServer

THING = Kind("example.test", "v1", "Thing", "things")


@pytest.fixture
def kind():
    return THING


@pytest.fixture
def serve():
    started = []

    def start(script, **more):
        server = ScriptedServer(script, **more)
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop()


def kubeconfig(folder: Path, url: str, *, cluster=None, user=None) -> Path:
    path = folder / "kubeconfig"
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": url, **(cluster or {})}}],
        "users": [{"name": "u", "user": user or {}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path.write_text(yaml.safe_dump(document))
    return path


@pytest.fixture
def connect(tmp_path):
    opened = []

    def start(server, *, cluster=None, user=None, **more):
        url = server if isinstance(server, str) else server.url
        client = KubeClient.connect(kubeconfig(tmp_path, url, cluster=cluster, user=user), **more)
        opened.append(client)
        return client

    yield start
    for client in opened:
        client.close()


@pytest.fixture
def until():
    def wait(holds, seconds=5.0):
        deadline = time.monotonic() + seconds
        while not (value := holds()):
            assert time.monotonic() < deadline, "it did not come to be in time"
            time.sleep(0.005)
        return value

    return wait


def thing(name, version="1", namespace="default", **more):
    metadata = {"name": name, "namespace": namespace, "resourceVersion": version, "uid": f"uid-{name}"}
    return {"apiVersion": "example.test/v1", "kind": "Thing", "metadata": metadata, **more}


def listing(items, version, token=""):
    return {"kind": "ThingList", "metadata": {"resourceVersion": version, "continue": token}, "items": items}
