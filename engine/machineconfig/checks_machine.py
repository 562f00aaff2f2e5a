"""Checks of the `machine` section, network apart.

Each yields problems with paths; none changes anything. Neighbour: `validate` runs them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from engine.machineconfig.checks import Check, Problem, Situation, section

_TYPES: Final = ("controlplane", "init", "worker", "join", "")
_LABEL = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")
_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_KUBELET_FIXED: Final = (
    "apiVersion", "authentication", "authorization", "cgroupRoot", "clusterDomain", "containerRuntimeEndpoint",
    "kind", "port", "rotateCertificates", "staticPodPath", "tlsCertFile", "tlsPrivateKeyFile", "systemCgroups",
)  # fmt: skip


def _type(situation: Situation) -> Iterator[Problem]:
    name = situation.machine.get("type", "")
    if name == "join":
        yield Problem("machine.type", "use worker instead of join", warning=True)
    elif name not in _TYPES:
        yield Problem("machine.type", "unknown machine type; use controlplane or worker")


def _authority(situation: Situation) -> Iterator[Problem]:
    ca = section(situation.machine, "ca")
    if not ca.get("crt") and not situation.machine.get("acceptedCAs"):
        yield Problem("machine.ca", "an issuing authority or machine.acceptedCAs is required")
    if situation.control_plane and not (ca.get("crt") and ca.get("key")):
        yield Problem("machine.ca", "a control plane needs the issuing authority's certificate and key")


def _install(situation: Situation) -> Iterator[Problem]:
    if situation.mode != "metal" or situation.config.find("UnattendedInstallConfig"):
        return
    if "install" not in situation.machine:
        yield Problem("machine.install", "install instructions are required on bare metal")
        return
    install = section(situation.machine, "install")
    if not install.get("disk") and "diskSelector" not in install:
        yield Problem("machine.install.disk", "a disk or a diskSelector is required")
    if install.get("extraKernelArgs") and install.get("grubUseUKICmdline"):
        message = "extra kernel arguments have no effect together with grubUseUKICmdline"
        yield Problem("machine.install.extraKernelArgs", message)


def _features(situation: Situation) -> Iterator[Problem]:
    features = section(situation.machine, "features")
    access = section(features, "kubernetesTalosAPIAccess")
    if access.get("enabled") and not situation.control_plane:
        path = "machine.features.kubernetesTalosAPIAccess"
        yield Problem(path, "access to the Talos API is for control plane machines only")
    dns = section(features, "hostDNS")
    if situation.mode == "container" and not dns.get("enabled"):
        yield Problem("machine.features.hostDNS.enabled", "must be true in a container")
    if dns.get("forwardKubeDNSToHost") and not dns.get("enabled"):
        yield Problem("machine.features.hostDNS", "forwardKubeDNSToHost needs enabled: true")


def _labels(situation: Situation) -> Iterator[Problem]:
    for key, value in section(situation.machine, "nodeLabels").items():
        path = f'machine.nodeLabels."{key}"'
        yield from _label_key(path, key)
        if len(value) > 63 or not _LABEL.fullmatch(value):
            yield Problem(path, "not a label value: at most 63 letters, digits, '-', '_', '.'")
    for key in section(situation.machine, "nodeAnnotations"):
        yield from _label_key(f'machine.nodeAnnotations."{key}"', key)


def _label_key(path: str, key: str) -> Iterator[Problem]:
    prefix, slash, name = key.rpartition("/")
    if (slash and (not prefix or "/" in prefix)) or len(name) > 63 or not _NAME.fullmatch(name):
        yield Problem(path, "not a key such as example.org/name")


def _kubelet(situation: Situation) -> Iterator[Problem]:
    extra = section(situation.machine, "kubelet", "extraConfig")
    for key in sorted(set(extra) & set(_KUBELET_FIXED)):
        yield Problem(f"machine.kubelet.extraConfig.{key}", "Talos sets this field itself")


def _encryption(situation: Situation) -> Iterator[Problem]:
    for name, volume in section(situation.machine, "systemDiskEncryption").items():
        path = f"machine.systemDiskEncryption.{name}"
        if not volume.get("keys"):
            yield Problem(path, "no encryption keys are given")
        yield from key_problems(volume.get("keys", ()), path)


def key_problems(keys: Iterable[Mapping[str, Any]], path: str) -> Iterator[Problem]:
    """Problems of encryption keys: a slot used twice, a key without a kind."""
    seen: set[int] = set()
    for key in keys:
        slot = key.get("slot", 0)
        if slot in seen:
            yield Problem(f"{path}.keys", f"the key slot {slot} is given twice")
        seen.add(slot)
        if not any(kind in key for kind in ("static", "nodeID", "kms", "tpm")):
            yield Problem(f"{path}.keys", f"the key of slot {slot} is of no kind (static, nodeID, kms, tpm)")


def _disks(situation: Situation) -> Iterator[Problem]:
    for index, disk in enumerate(situation.machine.get("disks", ())):
        partitions = disk.get("partitions", ())
        if any(not partition.get("size") for partition in partitions[:-1]):
            path = f"machine.disks[{index}].partitions"
            yield Problem(path, "only the last partition may fill the disk (have no size)")


def _others(situation: Situation) -> Iterator[Problem]:
    for index, target in enumerate(section(situation.machine, "logging").get("destinations", ())):
        if not target.get("endpoint"):
            yield Problem(f"machine.logging.destinations[{index}].endpoint", "required")


MACHINE_CHECKS: Final[tuple[Check, ...]] = (
    _type, _authority, _install, _features, _labels, _kubelet, _encryption, _disks, _others,
)  # fmt: skip
