"""The configuration that Talos itself would generate for a cluster and a role (talos-api 4.1 to 4.3).

Promises: for contracts 1.8 to 1.13 the documents equal those of Talos's generator. Install disk and
image, patches and all else of one machine come later (`machinespec`). Kept per (cluster, bundle,
role), since it costs more than all that follows. Neighbours: `contracts`, `secretsbundle`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from engine.machineconfig import secretsbundle
from engine.machineconfig.cluster import Cluster
from engine.machineconfig.config import Config, of_values
from engine.machineconfig.contracts import Contract, contract
from engine.machineconfig.errors import ConfigError
from engine.machineconfig.secretsbundle import SecretsBundle, encode_pem, encoded
from engine.machineconfig.texts import url

Role = Literal["controlplane", "worker"]

DOMAIN: Final = "cluster.local"
POD_SUBNETS: Final = ("10.244.0.0/16",)
SERVICE_SUBNETS: Final = ("10.96.0.0/12",)
_KUBELET: Final = "ghcr.io/siderolabs/kubelet"
_KUBERNETES: Final = "registry.k8s.io"
_EXCLUDE_BALANCER: Final = "node.kubernetes.io/exclude-from-external-load-balancers"


@lru_cache(maxsize=64)
def base_config(cluster: Cluster, bundle_text: str, role: Role) -> Config:
    """The generated configuration, without an install disk. Raises ConfigError."""
    bundle = secretsbundle.parse(bundle_text)
    if not bundle.secretbox:
        message = "the bundle has only an AES-CBC secret (Talos 1.2 and older); no supported version uses it"
        raise ConfigError("Unsupported", message)
    version = contract(cluster.version)
    host = _host(cluster.endpoint)
    main = {
        "version": "v1alpha1",
        "debug": False,
        "persist": True,
        "machine": _machine(cluster, bundle, role, version),
        "cluster": _cluster(cluster, bundle, role, version, host),
    }
    hostname = {"apiVersion": "v1alpha1", "kind": "HostnameConfig", "auto": "stable"}
    return of_values([main, hostname] if version.has("hostnameDocument") else [main])


def _host(endpoint: str) -> str:
    try:
        host = urlsplit(url(endpoint)).hostname
    except ValueError as error:
        raise ConfigError("InvalidValue", str(error), path="endpoint") from None
    if not host:
        raise ConfigError("InvalidValue", "not a URL such as https://10.0.0.1:6443", path="endpoint")
    return host


def _machine(cluster: Cluster, bundle: SecretsBundle, role: Role, version: Contract) -> dict[str, Any]:
    control = role == "controlplane"
    machine: dict[str, Any] = {
        "type": role,
        "token": bundle.trustd_token,
        "ca": _authority(encoded(bundle.os), control),
        "certSANs": list(cluster.sans),
        "kubelet": {
            "image": f"{_KUBELET}:v{cluster.kubernetes}",
            "defaultRuntimeSeccompProfileEnabled": True,
            "disableManifestsDirectory": True,
        },
        "install": {"wipe": False},
        "features": _features(version),
    }
    if version.has("networkSection"):
        machine["network"] = {}
    if version.has("ukiCommandLine"):
        machine["install"]["grubUseUKICmdline"] = True
    if control:
        machine["nodeLabels"] = {_EXCLUDE_BALANCER: ""}
    return machine


def _features(version: Contract) -> dict[str, Any]:
    features: dict[str, Any] = {
        "diskQuotaSupport": True,
        "kubePrism": {"enabled": True, "port": 7445},
        "hostDNS": {"enabled": True, "forwardKubeDNSToHost": True},
    }
    if version.has("accessFlags"):
        features |= {"rbac": True, "apidCheckExtKeyUsage": True}
    if version.has("stableHostnameFlag"):
        features["stableHostname"] = True
    return features


def _cluster(
    cluster: Cluster, bundle: SecretsBundle, role: Role, version: Contract, host: str
) -> dict[str, Any]:
    control = role == "controlplane"
    shared = {
        "id": bundle.cluster_id,
        "secret": bundle.cluster_secret,
        "controlPlane": {"endpoint": cluster.endpoint},
        "clusterName": cluster.name,
        "network": _network(cluster),
        "token": bundle.bootstrap_token,
        "ca": _authority(encoded(bundle.kubernetes), control),
        "discovery": {"enabled": True, "registries": {"kubernetes": {"disabled": True}}},
    }
    return shared | (_control_plane(cluster, bundle, version, host) if control else {})


def _network(cluster: Cluster) -> dict[str, Any]:
    network: dict[str, Any] = {
        "dnsDomain": cluster.domain or DOMAIN,
        "podSubnets": list(cluster.pod_subnets or POD_SUBNETS),
        "serviceSubnets": list(cluster.service_subnets or SERVICE_SUBNETS),
    }
    cni = json.loads(cluster.cni)
    if cni:
        network["cni"] = cni
    return network


def _control_plane(cluster: Cluster, bundle: SecretsBundle, version: Contract, host: str) -> dict[str, Any]:
    names = [host] if version.has("endpointInServerNames") else []
    server: dict[str, Any] = {
        "image": _image("kube-apiserver", cluster),
        "certSANs": [*names, *cluster.sans],
        "admissionControl": [{"name": "PodSecurity", "configuration": _POD_SECURITY}],
        "auditPolicy": {
            "apiVersion": "audit.k8s.io/v1",
            "kind": "Policy",
            "rules": [{"level": "Metadata"}],
        },
    }
    if version.has("podSecurityPolicyFlag"):
        server["disablePodSecurityPolicy"] = True
    return {
        "secretboxEncryptionSecret": bundle.secretbox,
        "aggregatorCA": encoded(bundle.aggregator),
        "serviceAccount": {"key": encode_pem(bundle.service_account)},
        "apiServer": server,
        "controllerManager": {"image": _image("kube-controller-manager", cluster)},
        "proxy": {"image": _image("kube-proxy", cluster)},
        "scheduler": {"image": _image("kube-scheduler", cluster)},
        "etcd": {"ca": encoded(bundle.etcd)},
    }


def _authority(pair: Mapping[str, str], control: bool) -> dict[str, str]:
    return {"crt": pair["crt"], "key": pair["key"] if control else ""}


def _image(name: str, cluster: Cluster) -> str:
    return f"{_KUBERNETES}/{name}:v{cluster.kubernetes}"


_POD_SECURITY: Final = {
    "apiVersion": "pod-security.admission.config.k8s.io/v1alpha1",
    "kind": "PodSecurityConfiguration",
    "defaults": {
        "audit": "restricted",
        "audit-version": "latest",
        "enforce": "baseline",
        "enforce-version": "latest",
        "warn": "restricted",
        "warn-version": "latest",
    },
    "exemptions": {"namespaces": ["kube-system"], "runtimeClasses": [], "usernames": []},
}
