"""Checks of the `cluster` section.

Each yields problems with paths; none changes anything. Neighbour: `validate` runs them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from engine.machineconfig.checks import Check, Problem, Situation, section

_RESOURCES: Final = ("cpu", "memory", "ephemeral-storage", "hugepages-1Gi", "hugepages-2Mi")
_AUTHORIZERS: Final = ("Node", "RBAC", "Webhook")
_SERVER: Final = "cluster.apiServer"


def _endpoint(situation: Situation) -> Iterator[Problem]:
    if situation.config.find("KubeClusterConfig"):  # from 1.14 on
        return
    if not section(situation.cluster, "controlPlane").get("endpoint"):
        yield Problem("cluster.controlPlane.endpoint", "required")


def _worker_secrets(situation: Situation) -> Iterator[Problem]:
    if situation.control_plane:
        return
    if "etcd" in situation.cluster:
        yield Problem("cluster.etcd", "only control plane machines have an etcd section")
    if section(situation.cluster, "ca").get("key"):
        yield Problem("cluster.ca.key", "a worker may not have the authority's key")


def _etcd(situation: Situation) -> Iterator[Problem]:
    etcd = situation.cluster.get("etcd")
    if situation.control_plane and etcd is not None:
        ca = section(etcd, "ca")
        if not (ca.get("crt") and ca.get("key")):
            yield Problem("cluster.etcd.ca", "the authority's certificate and key are required")


def _cni(situation: Situation) -> Iterator[Problem]:
    cni = section(situation.cluster, "network").get("cni")
    if cni is None or not situation.control_plane:
        return
    path, name = "cluster.network.cni", cni.get("name", "")
    if name not in ("flannel", "custom", "none"):
        yield Problem(f"{path}.name", "not one of flannel, custom, none")
        return
    if name == "custom" and not cni.get("urls"):
        yield Problem(f"{path}.urls", "a custom CNI should name its manifests", warning=True)
    if name != "custom" and cni.get("urls"):
        yield Problem(f"{path}.urls", f"must be empty for the CNI {name}")
    flannel = section(cni, "flannel")
    if name != "flannel" and flannel.get("extraArgs"):
        yield Problem(f"{path}.flannel.extraArgs", f"must be empty for the CNI {name}")
    if name != "flannel" and flannel.get("kubeNetworkPoliciesEnabled"):
        yield Problem(f"{path}.flannel.kubeNetworkPoliciesEnabled", f"must be off for the CNI {name}")


def _resources(situation: Situation) -> Iterator[Problem]:
    for component in ("apiServer", "controllerManager", "scheduler"):
        for kind in ("requests", "limits"):
            for name in section(situation.cluster, component, "resources", kind):
                if name not in _RESOURCES:
                    yield Problem(f"cluster.{component}.resources.{kind}.{name}", "not a resource of a pod")


def _authorization(situation: Situation) -> Iterator[Problem]:
    server = section(situation.cluster, "apiServer")
    authorizers = server.get("authorizationConfig")
    if not authorizers:
        return
    for index, authorizer in enumerate(authorizers):
        if authorizer.get("type") not in _AUTHORIZERS:
            path = f"{_SERVER}.authorizationConfig[{index}].type"
            yield Problem(path, f"not one of {', '.join(_AUTHORIZERS)}")
    for flag in section(server, "extraArgs"):
        if flag == "authorization-mode" or flag.startswith("authorization-webhook-"):
            path = f"{_SERVER}.extraArgs.{flag}"
            yield Problem(path, "cannot be used together with authorizationConfig")


def _discovery(situation: Situation) -> Iterator[Problem]:
    discovery = section(situation.cluster, "discovery")
    service = section(discovery, "registries", "service")
    if not discovery.get("enabled") or service.get("disabled"):
        return
    endpoint = urlsplit(service.get("endpoint", ""))
    if endpoint.path not in ("", "/"):
        yield Problem("cluster.discovery.registries.service.endpoint", "must have no path")
    for key in ("id", "secret"):
        if not situation.cluster.get(key) and not situation.config.find("DiscoveryIdentityConfig"):
            yield Problem(f"cluster.{key}", "required while cluster discovery is on")


def _manifests(situation: Situation) -> Iterator[Problem]:
    provider = section(situation.cluster, "externalCloudProvider")
    if provider.get("manifests") and not provider.get("enabled"):
        path = "cluster.externalCloudProvider.manifests"
        yield Problem(path, "manifests are given but the provider is off")
    seen: set[str] = set()
    for index, manifest in enumerate(situation.cluster.get("inlineManifests", ())):
        name, path = manifest.get("name", "").strip(), f"cluster.inlineManifests[{index}].name"
        if not name:
            yield Problem(path, "required")
        elif name in seen:
            yield Problem(path, "this name is given twice")
        seen.add(name)


CLUSTER_CHECKS: Final[tuple[Check, ...]] = (
    _endpoint, _worker_secrets, _etcd, _cni, _resources, _authorization, _discovery, _manifests,
)  # fmt: skip
