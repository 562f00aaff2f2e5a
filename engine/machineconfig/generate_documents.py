"""The documents beside v1alpha1 that a generated configuration has from contract 1.12 on (talos-api 4.3).

In the order in which Talos writes them. Never looks at patches. Neighbours: `generate` calls, `options` says
what was asked for, `generate_kubernetes` holds those of Kubernetes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from engine.machineconfig.cluster import Cluster
from engine.machineconfig.contracts import Contract
from engine.machineconfig.secretsbundle import SecretsBundle

_DISCOVERY: Final = "https://discovery.talos.dev/"


def document(kind: str, **fields: Any) -> dict[str, Any]:
    """A document as a plain value."""
    return {"apiVersion": "v1alpha1", "kind": kind, **fields}


def system_documents(cluster: Cluster, bundle: SecretsBundle) -> Iterator[dict[str, Any]]:
    """What Talos itself is told by documents from 1.14 on, network apart."""
    options = cluster.options
    if options.discovery:
        yield document("DiscoveryServiceConfig", name="default", endpoint=_DISCOVERY)
    identity = {"clusterID": bundle.cluster_id, "clusterSecret": bundle.cluster_secret}
    yield document("DiscoveryIdentityConfig", **identity)
    if options.disk:
        match = f"disk.dev_path == {json.dumps(options.disk)}"
        provisioning = {"diskSelector": {"match": match}, "wipe": False}
        yield document(
            "UnattendedInstallConfig", installer={"image": options.image}, provisioning=provisioning
        )
    yield document("ResolverConfig", hostDNS={"enabled": True, "forwardKubeDNSToHost": True})
    if options.sysctls:
        yield document("SysctlConfig", params=dict(options.sysctls))
    yield document("VolumeConfig", name="EPHEMERAL", mount={"secure": True})
    yield document("FilesystemTrimConfig", interval="168h0m0s")
    yield document("SecurityProfileConfig", workloadIsolation=True)


def network_documents(cluster: Cluster, version: Contract) -> Iterator[dict[str, Any]]:
    """Registries, host name and KubeSpan."""
    options = cluster.options
    if version.has("networkDocuments"):
        for name, urls in sorted(options.mirrors):
            yield document("RegistryMirrorConfig", name=name, endpoints=[{"url": url} for url in urls])
        for name in options.registries():
            yield document("RegistryTLSConfig", name=name, **_tls(cluster, name))
        name = options.hostname
        yield document(
            "HostnameConfig", **({"auto": "off", "hostname": name} if name else {"auto": "stable"})
        )
    if version.has("kubeSpanDocument") and options.kubespan is not None:
        yield document("KubeSpanConfig", enabled=options.kubespan)


def _tls(cluster: Cluster, name: str) -> dict[str, Any]:
    tls: dict[str, Any] = {}
    authority = dict(cluster.options.authorities).get(name)
    if authority is not None:
        tls["ca"] = authority
    if name in cluster.options.insecure:
        tls["insecureSkipVerify"] = True
    return tls
