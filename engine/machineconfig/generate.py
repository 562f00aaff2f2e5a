"""The configuration that Talos itself would generate for a cluster and a role (talos-api 4.1 to 4.3).

Promises: the documents equal those of Talos's generator, for each contract that schemas/talos/contracts.yaml
knows. Patches and all else of one machine come later (`machinespec`). Kept per (cluster, bundle, role),
since it costs more than all that follows. Neighbours: `contracts`, `secretsbundle`, `generate_documents` and
`generate_kubernetes` (the documents beside v1alpha1).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal
from urllib.parse import urlsplit

from engine.machineconfig import secretsbundle
from engine.machineconfig.cluster import Cluster
from engine.machineconfig.config import Config, of_values
from engine.machineconfig.contracts import Contract, contract
from engine.machineconfig.errors import ConfigError
from engine.machineconfig.generate_documents import network_documents, system_documents
from engine.machineconfig.generate_kubernetes import kubernetes_documents
from engine.machineconfig.kubernetes import (
    AUDIT_POLICY,
    EXCLUDE_BALANCER,
    POD_SECURITY,
    image,
    kubelet_image,
    networks,
)
from engine.machineconfig.secretsbundle import SecretsBundle, encode_pem, encoded
from engine.machineconfig.texts import url

Role = Literal["controlplane", "worker"]


@lru_cache(maxsize=64)
def base_config(cluster: Cluster, bundle_text: str, role: Role) -> Config:
    """The generated configuration. Without an install disk in the cluster's options it names none.

    Raises ConfigError.
    """
    bundle = secretsbundle.parse(bundle_text)
    if not bundle.secretbox:
        message = "the bundle has only an AES-CBC secret (Talos 1.2 and older); no supported version uses it"
        raise ConfigError("Unsupported", message)
    version = contract(cluster.version, ahead=cluster.ahead)
    host = _host(cluster.endpoint)
    _check_mirrors(cluster)
    control = role == "controlplane"
    documents: list[dict[str, Any]] = [
        {
            "version": "v1alpha1",
            "debug": cluster.options.debug,
            "persist": True,
            "machine": _machine(cluster, bundle, role, version),
            "cluster": _cluster(cluster, bundle, version, host, control=control),
        }
    ]
    if version.has("systemDocuments"):
        documents.extend(system_documents(cluster, bundle))
    documents.extend(network_documents(cluster, version))
    if version.has("kubernetesDocuments"):
        documents.extend(kubernetes_documents(cluster, bundle, control=control))
    return of_values(documents)


def _host(endpoint: str) -> str:
    try:
        host = urlsplit(url(endpoint)).hostname
    except ValueError as error:
        raise ConfigError("InvalidValue", str(error), path="endpoint") from None
    return host or ""


def check_endpoint(endpoint: str) -> None:
    """Raises ConfigError for an endpoint that nobody can reach; Talos's generator does not look (rule 4)."""
    if not _host(endpoint):
        raise ConfigError("InvalidValue", "not a URL such as https://10.0.0.1:6443", path="endpoint")


def _check_mirrors(cluster: Cluster) -> None:
    for name, urls in cluster.options.mirrors:
        for text in urls:
            try:
                url(text)
            except ValueError as error:
                path = f"options.registryMirrors.{name}"
                raise ConfigError("InvalidValue", str(error), path=path) from None


def _machine(cluster: Cluster, bundle: SecretsBundle, role: Role, version: Contract) -> dict[str, Any]:
    control = role == "controlplane"
    machine: dict[str, Any] = {
        "type": role,
        "token": bundle.trustd_token,
        "ca": _authority(encoded(bundle.os), control),
        "certSANs": list(cluster.sans),
        "features": {"diskQuotaSupport": True},
    }
    if not version.has("kubernetesDocuments"):
        machine["kubelet"] = {
            **kubelet_image(cluster),
            "defaultRuntimeSeccompProfileEnabled": True,
            "disableManifestsDirectory": True,
        }
        if control:
            machine["nodeLabels"] = {EXCLUDE_BALANCER: ""}
    if not version.has("systemDocuments"):
        machine["features"] |= _features(cluster, version)
        if cluster.options.sysctls:
            machine["sysctls"] = dict(cluster.options.sysctls)
    if not version.has("installDocument"):
        machine["install"] = _install(cluster, version)
    return machine | _network_of(cluster, version)


def _install(cluster: Cluster, version: Contract) -> dict[str, Any]:
    options = cluster.options
    install: dict[str, Any] = {"disk": options.disk, "image": options.image, "wipe": False}
    if options.kernel_arguments:
        install["extraKernelArgs"] = list(options.kernel_arguments)
    if version.has("ukiCommandLine"):
        install["grubUseUKICmdline"] = True
    return install


def _network_of(cluster: Cluster, version: Contract) -> dict[str, Any]:
    """What stands in documents of its own in newer contracts."""
    options = cluster.options
    found: dict[str, Any] = {}
    if version.has("networkSection"):
        network: dict[str, Any] = {}
        if options.hostname and not version.has("networkDocuments"):
            network["hostname"] = options.hostname
        if options.kubespan is not None:
            network["kubespan"] = {"enabled": options.kubespan}
        found["network"] = network
    if not version.has("networkDocuments") and (options.mirrors or options.registries()):
        found["registries"] = {
            "mirrors": {name: {"endpoints": list(urls)} for name, urls in options.mirrors},
            "config": {name: {"tls": _tls(cluster, name)} for name in options.registries()},
        }
    return found


def _tls(cluster: Cluster, name: str) -> dict[str, Any]:
    authority = dict(cluster.options.authorities).get(name)
    tls: dict[str, Any] = {} if authority is None else {"ca": encode_pem(authority)}
    return tls | ({"insecureSkipVerify": True} if name in cluster.options.insecure else {})


def _features(cluster: Cluster, version: Contract) -> dict[str, Any]:
    features: dict[str, Any] = {"hostDNS": {"enabled": True, "forwardKubeDNSToHost": True}}
    if cluster.options.prism_port:
        features["kubePrism"] = {"enabled": True, "port": cluster.options.prism_port}
    if version.has("accessFlags"):
        features |= {"rbac": True, "apidCheckExtKeyUsage": True}
    if version.has("stableHostnameFlag"):
        features["stableHostname"] = True
    return features


def _cluster(
    cluster: Cluster, bundle: SecretsBundle, version: Contract, host: str, *, control: bool
) -> dict[str, Any]:
    etcd = {"etcd": {"ca": encoded(bundle.etcd)}} if control else {}
    if version.has("kubernetesDocuments"):
        return {"token": bundle.bootstrap_token, **etcd}
    shared = {
        "id": bundle.cluster_id,
        "secret": bundle.cluster_secret,
        "controlPlane": {"endpoint": cluster.endpoint} | (_local_port(cluster) if control else {}),
        "clusterName": cluster.name,
        "network": _network(cluster),
        "token": bundle.bootstrap_token,
        "ca": _authority(encoded(bundle.kubernetes), control),
        "discovery": {
            "enabled": cluster.options.discovery,
            "registries": {"kubernetes": {"disabled": True}},
        },
        **etcd,
    }
    return shared | (_control_plane(cluster, bundle, version, host) if control else {})


def _local_port(cluster: Cluster) -> dict[str, int]:
    return {"localAPIServerPort": cluster.options.api_port} if cluster.options.api_port else {}


def _network(cluster: Cluster) -> dict[str, Any]:
    cni = json.loads(cluster.cni)
    return networks(cluster) | ({"cni": cni} if cni else {})


def _control_plane(cluster: Cluster, bundle: SecretsBundle, version: Contract, host: str) -> dict[str, Any]:
    names = [host] if version.has("endpointInServerNames") else []
    server: dict[str, Any] = {
        **image("kube-apiserver", cluster),
        "certSANs": [*names, *cluster.sans],
        "admissionControl": [{"name": "PodSecurity", "configuration": POD_SECURITY}],
        "auditPolicy": AUDIT_POLICY,
    }
    if version.has("podSecurityPolicyFlag"):
        server["disablePodSecurityPolicy"] = True
    return {
        "secretboxEncryptionSecret": bundle.secretbox,
        "aggregatorCA": encoded(bundle.aggregator),
        "serviceAccount": {"key": encode_pem(bundle.service_account)},
        "apiServer": server,
        "controllerManager": image("kube-controller-manager", cluster),
        "proxy": image("kube-proxy", cluster),
        "scheduler": image("kube-scheduler", cluster),
        **({"allowSchedulingOnControlPlanes": True} if cluster.options.scheduling else {}),
    }


def _authority(pair: Mapping[str, str], control: bool) -> dict[str, str]:
    return {"crt": pair["crt"], "key": pair["key"] if control else ""}
