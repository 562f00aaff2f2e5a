"""The Kubeconfig stream: one message with a .tar.gz of one file (talos-api 1.3 and 4.9)."""

from __future__ import annotations

import base64
import io
import tarfile
import time
from collections.abc import AsyncIterator
from typing import Final

import yaml

from engine.machineconfig.certificates import issue
from engine.simulator.api.call import Call, Handler, Value, control_plane_only
from engine.simulator.configuration import NodeConfig
from engine.simulator.refusal import precondition

_LIFETIME_S: Final = 8760 * 3600


async def _kubeconfig(call: Call) -> AsyncIterator[Value]:
    control_plane_only(call, "kubeconfig")
    config = call.machine.config
    assert config is not None
    if not config.kubernetes_authority.key:
        raise precondition("k8s API server CA config is not set")
    yield {"bytes": _archive(admin_kubeconfig(config, time.time()).encode())}


def admin_kubeconfig(config: NodeConfig, now: float) -> str:
    """A kubeconfig with a fresh administrator certificate of the cluster's Kubernetes authority."""
    authority, name = config.kubernetes_authority, config.cluster_name
    leaf = issue(
        authority,
        now=now - 10,
        ttl_s=_LIFETIME_S,
        common_name="admin",
        organizations=["system:masters"],
        client=True,
        encipherment=True,
    )
    user = f"admin@{name}"
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": name,
                "cluster": {"server": config.endpoint, "certificate-authority-data": _encoded(authority.crt)},
            }
        ],
        "users": [
            {
                "name": user,
                "user": {
                    "client-certificate-data": _encoded(leaf.crt),
                    "client-key-data": _encoded(leaf.key),
                },
            }
        ],
        "contexts": [{"name": user, "context": {"cluster": name, "namespace": "default", "user": user}}],
        "current-context": user,
    }
    return yaml.safe_dump(content, sort_keys=False)


def _archive(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        entry = tarfile.TarInfo("kubeconfig")
        entry.size, entry.mode = len(content), 0o600
        archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


METHODS: Final[dict[str, Handler]] = {"machine.MachineService/Kubeconfig": _kubeconfig}
