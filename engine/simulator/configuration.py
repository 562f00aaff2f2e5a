"""What a machine reads in its configuration: role, cluster, authorities, disk, image, host name.

Takes a configuration that validation has already accepted, in the old form (one v1alpha1
document) or the new one (Kubernetes settings in documents of their own). Never changes or writes
one. Neighbours: `applying` accepts configurations, `machine` keeps the active one.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import yaml

from engine.machineconfig.certificates import Pair

_TAG: Final = re.compile(r":(v\d+\.\d+\.\d+[0-9A-Za-z.-]*)(@.*)?$")
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """The settings that the simulation acts on. Keys and the text are kept out of `repr`."""

    text: str = field(repr=False)
    documents: tuple[Mapping[str, Any], ...] = field(repr=False)
    machine_type: str
    token: str = field(repr=False)
    os_authority: Pair
    accepted: tuple[str, ...]
    names: tuple[str, ...]
    hostname: str
    cluster_id: str
    cluster_name: str
    endpoint: str
    kubernetes_authority: Pair
    etcd: bool
    install_disk: str
    disk_selector: Mapping[str, Any]
    install_image: str
    kubelet_image: str

    @property
    def control_plane(self) -> bool:
        return self.machine_type in ("controlplane", "init")

    def host_name(self, identity: str) -> str:
        """The configured host name, or the stable one that Talos derives from the node's identity."""
        return self.hostname or stable_hostname(identity)


def stable_hostname(identity: str) -> str:
    """`talos-xxx-xxx`, the same for one identity."""
    digest = base64.b32encode(hashlib.sha256(identity.encode()).digest()).decode().lower()
    return f"talos-{digest[:3]}-{digest[3:6]}"


@lru_cache(maxsize=32)
def read_config(text: str) -> NodeConfig:
    """Read an accepted configuration; what it gives is shared and must not be changed. Raises yaml.YAMLError for text that is no YAML."""
    documents = tuple(document for document in yaml.load_all(text, _LOADER) if isinstance(document, dict))
    main = next((document for document in documents if "kind" not in document), {})
    machine, cluster = _mapping(main, "machine"), _mapping(main, "cluster")
    by_kind = {str(document["kind"]): document for document in documents if "kind" in document}
    network, install = _mapping(machine, "network"), _mapping(machine, "install")
    hostname = network.get("hostname") or by_kind.get("HostnameConfig", {}).get("hostname") or ""
    kube_cluster, identity = by_kind.get("KubeClusterConfig", {}), by_kind.get("DiscoveryIdentityConfig", {})
    return NodeConfig(
        text=text,
        documents=documents,
        machine_type=str(machine.get("type", "worker")),
        token=str(machine.get("token", "")),
        os_authority=_pair(_mapping(machine, "ca")),
        accepted=tuple(_pem(entry.get("crt", "")) for entry in machine.get("acceptedCAs") or ()),
        names=tuple(str(name) for name in machine.get("certSANs") or ()),
        hostname=str(hostname),
        cluster_id=str(cluster.get("id") or identity.get("clusterID") or cluster.get("secret") or ""),
        cluster_name=str(cluster.get("clusterName") or kube_cluster.get("clusterName") or ""),
        endpoint=str(_mapping(cluster, "controlPlane").get("endpoint") or kube_cluster.get("endpoint") or ""),
        kubernetes_authority=_kubernetes_authority(cluster, by_kind),
        etcd=bool(_mapping(_mapping(cluster, "etcd"), "ca").get("crt")),
        install_disk=_install_disk(install, by_kind),
        disk_selector=_mapping(install, "diskSelector"),
        install_image=_install_image(install, by_kind),
        kubelet_image=str(
            _mapping(machine, "kubelet").get("image") or by_kind.get("KubeletConfig", {}).get("image") or ""
        ),
    )


def version_of_image(image: str) -> str | None:
    """The Talos version that an installer image carries in its tag, None when the tag is no version."""
    found = _TAG.search(image)
    return found.group(1) if found else None


def _mapping(owner: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = owner.get(key)
    return value if isinstance(value, dict) else {}


def _kubernetes_authority(cluster: Mapping[str, Any], by_kind: Mapping[str, Mapping[str, Any]]) -> Pair:
    document = by_kind.get("KubeAPIServerCAConfig")
    if document is None:
        return _pair(_mapping(cluster, "ca"))
    issuing = _mapping(document, "issuingCA")
    return Pair(str(issuing.get("cert", "")), str(issuing.get("key", "")))


def _install_disk(install: Mapping[str, Any], by_kind: Mapping[str, Mapping[str, Any]]) -> str:
    if install.get("disk"):
        return str(install["disk"])
    provisioning = _mapping(by_kind.get("UnattendedInstallConfig", {}), "provisioning")
    match = str(_mapping(provisioning, "diskSelector").get("match", ""))
    found = re.search(r'disk\.dev_path == "([^"]+)"', match)
    return found.group(1) if found else ""


def _install_image(install: Mapping[str, Any], by_kind: Mapping[str, Mapping[str, Any]]) -> str:
    document = _mapping(by_kind.get("UnattendedInstallConfig", {}), "installer")
    return str(install.get("image") or document.get("image") or "")


def _pair(entry: Mapping[str, Any]) -> Pair:
    return Pair(_pem(entry.get("crt", "")), _pem(entry.get("key", "")))


def _pem(encoded: Any) -> str:
    return base64.b64decode(str(encoded or "")).decode()
