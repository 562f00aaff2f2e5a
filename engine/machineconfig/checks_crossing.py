"""Checks between documents: one setting must not be given in the old and in the new style.

Each yields problems with paths; none changes anything. Neighbour: `validate` runs them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from engine.machineconfig.checks import Check, Problem, Situation, section


def _hostname(situation: Situation) -> Iterator[Problem]:
    if situation.config.find("HostnameConfig") is None:
        return
    if section(situation.machine, "network").get("hostname"):
        yield Problem("HostnameConfig", "the hostname is already set in machine.network.hostname")
    if section(situation.machine, "features").get("stableHostname"):
        yield Problem("HostnameConfig", "the hostname is already set by machine.features.stableHostname")


def _kubespan(situation: Situation) -> Iterator[Problem]:
    if situation.config.find("KubeSpanConfig") and "kubespan" in section(situation.machine, "network"):
        yield Problem("KubeSpanConfig", "KubeSpan is already set in machine.network.kubespan")


def _resolver(situation: Situation) -> Iterator[Problem]:
    document = situation.config.find("ResolverConfig")
    network = section(situation.machine, "network")
    if document is None:
        return
    if document.value.get("nameservers") and network.get("nameservers"):
        yield Problem("ResolverConfig: nameservers", "already set in machine.network.nameservers")
    if "searchDomains" in document.value and network.get("searchDomains"):
        yield Problem("ResolverConfig: searchDomains", "already set in machine.network.searchDomains")


def _time(situation: Situation) -> Iterator[Problem]:
    document = situation.config.find("TimeSyncConfig")
    time = section(situation.machine, "time")
    if document is None:
        return
    if time.get("servers") and (document.value.get("ntp") or document.value.get("ptp")):
        yield Problem("TimeSyncConfig", "time servers are already set in machine.time.servers")
    if time.get("disabled") and "enabled" in document.value:
        yield Problem(
            "TimeSyncConfig: enabled", "time synchronisation is already off by machine.time.disabled"
        )


def _encryption(situation: Situation) -> Iterator[Problem]:
    old = section(situation.machine, "systemDiskEncryption")
    for document in situation.config.documents:
        name = document.name.lower()
        if document.kind == "VolumeConfig" and document.value.get("encryption") and name in old:
            message = f"already set in machine.systemDiskEncryption.{name}"
            yield Problem(f"{document.title}: encryption", message)


CROSSING_CHECKS: Final[tuple[Check, ...]] = (_hostname, _kubespan, _resolver, _time, _encryption)
