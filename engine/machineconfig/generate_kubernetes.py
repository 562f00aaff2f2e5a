"""The documents that take the place of most of `cluster` and `machine.kubelet` from contract 1.14 on.

Values are those of machinery 1.14.0-rc.1 (talos-contracts, talos-api 4.3). Never looks at patches. Neighbours:
`generate` calls, `generate_documents` holds the others.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from engine.machineconfig.certificates import Pair
from engine.machineconfig.cluster import Cluster
from engine.machineconfig.errors import ConfigError
from engine.machineconfig.generate_documents import document
from engine.machineconfig.kubernetes import (
    AUDIT_POLICY,
    CONTROL_PLANE,
    EXCLUDE_BALANCER,
    POD_SECURITY,
    image,
    kubelet_image,
    networks,
)
from engine.machineconfig.secretsbundle import SecretsBundle

_PROBES: Final = ("/livez", "/readyz", "/healthz")


def kubernetes_documents(
    cluster: Cluster, bundle: SecretsBundle, *, control: bool
) -> Iterator[dict[str, Any]]:
    """All of one machine's, in the order of Talos."""
    options = cluster.options
    yield document("KubeClusterConfig", clusterName=cluster.name, endpoint=cluster.endpoint)
    yield document("KubeNodeConfig", nodeIP={}, **(_marks(cluster) if control else {}))
    yield document(
        "KubeletConfig", **kubelet_image(cluster), config={}, defaultRuntimeSeccompProfileEnabled=True
    )
    yield document("KubeNetworkConfig", **networks(cluster))
    if control:
        yield document("KubeAPIServerCAConfig", issuingCA=_pair(bundle.kubernetes))
    else:
        yield document("KubeAPIServerCAConfig", acceptedCAs=[bundle.kubernetes.crt])
    if options.prism_port:
        yield document("KubePrismConfig", port=options.prism_port)
    if control:
        yield from _access(cluster, bundle)
        yield from _components(cluster)


def _marks(cluster: Cluster) -> dict[str, Any]:
    labels = {"labels": {CONTROL_PLANE: "", EXCLUDE_BALANCER: ""}}
    return labels if cluster.options.scheduling else {**labels, "taints": {CONTROL_PLANE: "NoSchedule"}}


def _access(cluster: Cluster, bundle: SecretsBundle) -> Iterator[dict[str, Any]]:
    yield document("KubeAggregatorCAConfig", issuingCA=_pair(bundle.aggregator))
    yield document("KubeAdmissionControlConfig", name="PodSecurity", configuration=POD_SECURITY)
    yield document("KubeAuditPolicyConfig", configuration=AUDIT_POLICY)
    anonymous = {"enabled": True, "conditions": [{"path": path} for path in _PROBES]}
    yield document("KubeAuthenticationConfig", configuration={"anonymous": anonymous, "jwt": []})
    for name, kind in (("node", "Node"), ("rbac", "RBAC")):
        yield document("KubeAuthorizerConfig", name=name, type=kind)
    provider = {"secretbox": {"keys": [{"name": "key2", "secret": bundle.secretbox}]}}
    resources = [{"providers": [provider], "resources": ["secrets"]}]
    yield document("KubeEtcdEncryptionConfig", config={"resources": resources})
    issuer = {"privateKey": bundle.service_account, "issuerURL": cluster.endpoint}
    yield document("KubeServiceAccountConfig", issuer=issuer)


def _components(cluster: Cluster) -> Iterator[dict[str, Any]]:
    options = cluster.options
    server: dict[str, Any] = {"apiPort": options.api_port} if options.api_port else {}
    if cluster.sans:
        server["certExtraSANs"] = list(cluster.sans)
    yield document("KubeAPIServerConfig", **image("kube-apiserver", cluster), **server)
    yield document("KubeControllerManagerConfig", **image("kube-controller-manager", cluster))
    yield document("KubeSchedulerConfig", **image("kube-scheduler", cluster), config={})
    yield document("KubeProxyConfig", **image("kube-proxy", cluster), config={})
    cni = json.loads(cluster.cni)
    name, urls = cni.get("name") or "flannel", cni.get("urls") or []
    if name == "flannel":
        own = cni.get("flannel") or {}
        yield document("KubeFlannelCNIConfig", backendType="vxlan", backendPort=4789, **own)
    yield document("KubeCoreDNSConfig", enabled=True)
    if name == "custom":
        if len(urls) != 1:
            message = "contract 1.14 takes a custom CNI of exactly one URL"
            raise ConfigError("Unsupported", message, path="cni.urls")
        yield document("KubeExternalManifestConfig", name="custom-cni", url=urls[0])


def _pair(pair: Pair) -> dict[str, str]:
    return {"cert": pair.crt, "key": pair.key}
