"""What a generated configuration says of Kubernetes, whatever document it stands in (talos-api 4.1, 4.2).

Never builds a document. Neighbours: `generate` (v1alpha1), `generate_kubernetes` (documents from 1.14 on).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any, Final

from engine.machineconfig.cluster import Cluster

DOMAIN: Final = "cluster.local"
POD_SUBNETS: Final = ("10.244.0.0/16",)
SERVICE_SUBNETS: Final = ("10.96.0.0/12",)
_POD_SUBNETS_6: Final = ("fc00:db8:10::/56",)
_SERVICE_SUBNETS_6: Final = ("fc00:db8:20::/112",)
CONTROL_PLANE: Final = "node-role.kubernetes.io/control-plane"
EXCLUDE_BALANCER: Final = "node.kubernetes.io/exclude-from-external-load-balancers"
_KUBELET: Final = "ghcr.io/siderolabs/kubelet"
_KUBERNETES: Final = "registry.k8s.io"

AUDIT_POLICY: Final = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [{"level": "Metadata"}]}
POD_SECURITY: Final = {
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


def image(name: str, cluster: Cluster) -> dict[str, str]:
    """`image` of a component; nothing where the cluster names no Kubernetes version (talos-config-rules 5)."""
    return {"image": f"{_KUBERNETES}/{name}:v{cluster.kubernetes}"} if cluster.kubernetes else {}


def kubelet_image(cluster: Cluster) -> dict[str, str]:
    """`image` of the kubelet, likewise."""
    return {"image": f"{_KUBELET}:v{cluster.kubernetes}"} if cluster.kubernetes else {}


def networks(cluster: Cluster) -> dict[str, Any]:
    """The DNS domain and the subnets."""
    pods, services = _default_subnets(cluster.endpoint)
    return {
        "dnsDomain": DOMAIN if cluster.domain is None else cluster.domain,
        "podSubnets": list(cluster.pod_subnets or pods),
        "serviceSubnets": list(cluster.service_subnets or services),
    }


def _default_subnets(endpoint: str) -> tuple[Sequence[str], Sequence[str]]:
    """Those of IPv6 where the endpoint is nothing but such an address (talos-config-rules 4)."""
    try:
        ipaddress.IPv6Address(endpoint)
    except ValueError:
        return POD_SUBNETS, SERVICE_SUBNETS
    return _POD_SUBNETS_6, _SERVICE_SUBNETS_6
