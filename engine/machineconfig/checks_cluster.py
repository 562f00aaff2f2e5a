"""Checks of the `cluster` section.

Each yields problems with paths; none changes anything. Neighbour: `validate` runs them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from engine.machineconfig.checks import Check, Problem, Situation, is_subnet, section
from engine.machineconfig.texts import url

_RESOURCES: Final = ("cpu", "memory", "ephemeral-storage", "hugepages-1Gi", "hugepages-2Mi")
_AUTHORIZERS: Final = ("Node", "RBAC", "Webhook")
_LONGEST_NAME: Final = 255
_NAME = re.compile(
    r"(?i:[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)(\.(?i:[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?))*\.?"
)
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
    if situation.control_plane and etcd is not None and "ca" not in etcd:
        yield Problem("cluster.etcd.ca", "the authority's certificate and key are required")
    etcd = etcd or {}
    if etcd.get("subnet") and etcd.get("advertisedSubnets"):
        yield Problem("cluster.etcd.subnet", "subnet and advertisedSubnets exclude each other")
    for key in ("advertisedSubnets", "listenSubnets"):
        for index, text in enumerate(etcd.get(key, ())):
            if not is_subnet(text):
                yield Problem(f"cluster.etcd.{key}[{index}]", "not a network such as 10.0.0.0/8")
    if etcd.get("subnet") and not is_subnet(etcd["subnet"]):
        yield Problem("cluster.etcd.subnet", "not a network such as 10.0.0.0/8")


def _domain(situation: Situation) -> Iterator[Problem]:
    name = section(situation.cluster, "network").get("dnsDomain", "")
    if name and (len(name) > _LONGEST_NAME or not _NAME.fullmatch(name)):
        yield Problem("cluster.network.dnsDomain", "not a DNS name")


def _cni(situation: Situation) -> Iterator[Problem]:
    cni = section(situation.cluster, "network").get("cni")
    if cni is None or not situation.control_plane:
        return
    path, name = "cluster.network.cni", cni.get("name", "")
    if name not in ("flannel", "custom", "none"):
        yield Problem(f"{path}.name", "not one of flannel, custom, none")
        return
    for index, text in enumerate(cni.get("urls", ())):
        if name == "custom" and not _has_host(text):
            yield Problem(f"{path}.urls[{index}]", "not a URL with a host")
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
        if not authorizer.get("name"):
            yield Problem(f"{_SERVER}.authorizationConfig[{index}].name", "required")
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
    if service.get("endpoint") and not endpoint.scheme:
        yield Problem("cluster.discovery.registries.service.endpoint", "not a URL")
    elif endpoint.path not in ("", "/"):
        yield Problem("cluster.discovery.registries.service.endpoint", "must have no path")
    for key in ("id", "secret"):
        if not situation.cluster.get(key) and not situation.config.find("DiscoveryIdentityConfig"):
            yield Problem(f"cluster.{key}", "required while cluster discovery is on")


def _manifests(situation: Situation) -> Iterator[Problem]:
    provider = section(situation.cluster, "externalCloudProvider")
    if provider.get("manifests") and not provider.get("enabled"):
        path = "cluster.externalCloudProvider.manifests"
        yield Problem(path, "manifests are given but the provider is off")
    for index, text in enumerate(provider.get("manifests", ()) if provider.get("enabled") else ()):
        if not _has_host(text):
            yield Problem(f"cluster.externalCloudProvider.manifests[{index}]", "not a URL with a host")
    seen: set[str] = set()
    for index, manifest in enumerate(situation.cluster.get("inlineManifests", ())):
        name, path = manifest.get("name", "").strip(), f"cluster.inlineManifests[{index}].name"
        if not name:
            yield Problem(path, "required")
        elif name in seen:
            yield Problem(path, "this name is given twice")
        seen.add(name)


def _has_host(text: str) -> bool:
    try:
        return bool(urlsplit(url(text)).hostname)
    except ValueError:
        return False


CLUSTER_CHECKS: Final[tuple[Check, ...]] = (
    _endpoint, _worker_secrets, _etcd, _domain, _cni, _resources, _authorization, _discovery, _manifests,
)  # fmt: skip
