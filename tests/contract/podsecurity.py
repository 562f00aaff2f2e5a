"""The Pod Security Standard "restricted", rule by rule, for a pod of a manifest.

From the page "Pod Security Standards" of the Kubernetes documentation, as of Kubernetes 1.37, both levels. Stricter in what we
never need: sysctls, and SELinux and AppArmor settings of one's own. Pure. `breaches` names every field that breaks a
rule; it reads init and ephemeral containers as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
_HANDLERS = ("livenessProbe", "readinessProbe", "startupProbe")


def breaches(pod: Mapping[str, Any]) -> list[str]:
    """`place: what is wrong`, sorted; empty for a pod that the profile admits."""
    return sorted({*_of_pod(pod), *_of_containers(pod)})


def _of_pod(pod: Mapping[str, Any]) -> Iterator[str]:
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(name):
            yield f"{name}: shared with the node"
    for volume in pod.get("volumes", ()):
        if set(volume) - {"name"} - _VOLUMES:
            yield f"volumes.{volume['name']}: of a kind that reaches the node"
    security = pod.get("securityContext", {})
    yield from _of_both(security, "securityContext")
    if security.get("sysctls"):
        yield "securityContext.sysctls: some set"


def _of_containers(pod: Mapping[str, Any]) -> Iterator[str]:
    whole = pod.get("securityContext", {})
    for group in ("containers", "initContainers", "ephemeralContainers"):
        for container in pod.get(group, ()):
            place = f"{group}.{container['name']}"
            own = container.get("securityContext", {})
            yield from _of_both(own, f"{place}.securityContext")
            yield from _of_container(own, f"{place}.securityContext")
            both = {**whole, **own}
            if both.get("runAsNonRoot") is not True:
                yield f"{place}: may run as root"
            if both.get("seccompProfile", {}).get("type") not in {"RuntimeDefault", "Localhost"}:
                yield f"{place}: no seccomp profile"
            if any(port.get("hostPort") for port in container.get("ports", ())):
                yield f"{place}.ports: a port of the node"
            handlers = [container.get(name) or {} for name in _HANDLERS]
            handlers += [each or {} for each in container.get("lifecycle", {}).values()]
            if any(each.get(kind, {}).get("host") for each in handlers for kind in ("httpGet", "tcpSocket")):
                yield f"{place}: a probe of another host"


def _of_both(security: Mapping[str, Any], place: str) -> Iterator[str]:
    if security.get("windowsOptions", {}).get("hostProcess"):
        yield f"{place}.windowsOptions: a process of the node"
    if security.get("runAsUser") == 0:
        yield f"{place}.runAsUser: root"
    if security.get("runAsNonRoot") is False:
        yield f"{place}.runAsNonRoot: false"
    for name in ("appArmorProfile", "seLinuxOptions"):
        if security.get(name):
            yield f"{place}.{name}: in place of the default"


def _of_container(security: Mapping[str, Any], place: str) -> Iterator[str]:
    if security.get("privileged"):
        yield f"{place}.privileged: true"
    if security.get("allowPrivilegeEscalation") is not False:
        yield f"{place}.allowPrivilegeEscalation: not false"
    if security.get("procMount", "Default") != "Default":
        yield f"{place}.procMount: not the default"
    capabilities = security.get("capabilities", {})
    if "ALL" not in capabilities.get("drop", ()):
        yield f"{place}.capabilities: not all dropped"
    if set(capabilities.get("add", ())) - {"NET_BIND_SERVICE"}:
        yield f"{place}.capabilities: some added"
    if security.get("seccompProfile", {}).get("type", "RuntimeDefault") not in {
        "RuntimeDefault",
        "Localhost",
    }:
        yield f"{place}.seccompProfile: unconfined"
