"""Checks of the documents beside v1alpha1, one kind at a time.

Each yields problems with paths; none changes anything. Neighbours: `validate` runs them,
`checks_volumes` holds those of disks.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

from engine.machineconfig.checks import Problem, is_address, is_network, section
from engine.machineconfig.checks_images import IMAGE_CHECKS
from engine.machineconfig.checks_links import LINK_CHECKS
from engine.machineconfig.checks_volumes import VOLUME_CHECKS, expression_problems
from engine.machineconfig.config import Document
from engine.machineconfig.texts import nanoseconds

DocumentCheck: TypeAlias = Callable[[str, Mapping[str, Any]], Iterator[Problem]]

_REQUIRED: Final[Mapping[str, tuple[str, ...]]] = {
    "BondConfig": ("links", "bondMode"),
    "EventSinkConfig": ("endpoint",),
    "HCloudVIPConfig": ("link", "apiToken"),
    "KmsgLogConfig": ("url",),
    "Layer2VIPConfig": ("link",),
    "LinkAliasConfig": ("selector",),
    "SideroLinkConfig": ("apiUrl",),
    "StaticHostConfig": ("hostnames",),
    "TCPProbeConfig": ("endpoint",),
    "VLANConfig": ("parent",),
    "WatchdogTimerConfig": ("device",),
    "WireguardConfig": ("privateKey",),
}
_ADDRESS_NAMES: Final = ("HCloudVIPConfig", "Layer2VIPConfig", "StaticHostConfig")
_LEAST_WATCHDOG_NS: Final = 10 * 10**9
_RESERVED_PRIORITIES: Final = (0, 32500, 32766, 32767)


def document_problems(document: Document) -> Iterator[Problem]:
    """Every problem of one document."""
    prefix = f"{document.title}: "
    value = document.value
    for key in _REQUIRED.get(document.kind, ()):
        if not value.get(key):
            yield Problem(prefix + key, "required")
    if document.kind in _ADDRESS_NAMES and not is_address(document.name):
        yield Problem(prefix + "name", "must be an IP address")
    for check in (check for group in _GROUPS for check in group.get(document.kind, ())):
        for problem in check(document.name, value):
            yield Problem(
                prefix + problem.path if problem.path else document.title, problem.message, problem.warning
            )


def _hostname(_: str, value: Mapping[str, Any]) -> Iterator[Problem]:
    auto = value.get("auto")
    if auto is None and not value.get("hostname"):
        yield Problem("auto", "either auto or hostname is required")
    if auto not in (None, "off") and value.get("hostname"):
        yield Problem("auto", "auto and hostname exclude each other; use auto: off")
    if auto == "talos-addr":
        yield Problem("auto", "not one of stable, off")


def _blackhole(name: str, _: Mapping[str, Any]) -> Iterator[Problem]:
    if not is_network(name):
        yield Problem("name", "must be a network such as 10.0.0.0/8")


def _environment(_: str, value: Mapping[str, Any]) -> Iterator[Problem]:
    for name in section(value, "variables"):
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            yield Problem(f"variables.{name}", "not the name of an environment variable")


def _event_sink(_: str, value: Mapping[str, Any]) -> Iterator[Problem]:
    endpoint = value.get("endpoint", "")
    if endpoint and not re.fullmatch(r".*:\d+", endpoint):
        yield Problem("endpoint", "not an address with a port")


def _extension(_: str, value: Mapping[str, Any]) -> Iterator[Problem]:
    files = value.get("configFiles", ())
    if not files and not value.get("environment"):
        yield Problem("configFiles", "neither files nor environment are given")
    for index, entry in enumerate(files):
        for key in ("content", "mountPath"):
            if not entry.get(key):
                yield Problem(f"configFiles[{index}].{key}", "required")


def _kernel_log(_: str, value: Mapping[str, Any]) -> Iterator[Problem]:
    if value.get("url") and not value["url"].startswith(("tcp://", "udp://")):
        yield Problem("url", "must begin with tcp:// or udp://")
    if urlsplit(value.get("url", "")).path not in ("", "/"):
        yield Problem("url", "must have no path")


def _siderolink(_: str, value: Mapping[str, Any]) -> Iterator[Problem]:
    if value.get("apiUrl") and urlsplit(value["apiUrl"]).scheme not in ("https", "grpc"):
        yield Problem("apiUrl", "must begin with https:// or grpc://")


def _probe(_: str, value: Mapping[str, Any]) -> Iterator[Problem]:
    if value.get("failureThreshold", 0) < 0:
        yield Problem("failureThreshold", "must not be negative")


def _watchdog(_: str, value: Mapping[str, Any]) -> Iterator[Problem]:
    if value.get("device") and "timeout" in value and nanoseconds(value["timeout"]) < _LEAST_WATCHDOG_NS:
        yield Problem("timeout", "must be at least 10s")


def _zswap(_: str, value: Mapping[str, Any]) -> Iterator[Problem]:
    if not 0 <= value.get("maxPoolPercent", 0) <= 100:
        yield Problem("maxPoolPercent", "must be between 0 and 100")


def _kubespan(_: str, value: Mapping[str, Any]) -> Iterator[Problem]:
    if "mtu" in value and value["mtu"] < 1280:
        yield Problem("mtu", "must be at least 1280")
    for index, item in enumerate(section(value, "filters").get("endpoints", ())):
        if not (is_network(item.removeprefix("!")) or is_address(item.removeprefix("!"))):
            yield Problem(f"filters.endpoints[{index}]", "not a network")


def _alias(_: str, value: Mapping[str, Any]) -> Iterator[Problem]:
    yield from expression_problems(section(value, "selector").get("match"), "link", "selector.match")


def _out_of_memory(_: str, value: Mapping[str, Any]) -> Iterator[Problem]:
    trigger, ranking = value.get("triggerExpression"), value.get("cgroupRankingExpression")
    yield from expression_problems(trigger, "oomTrigger", "triggerExpression")
    yield from expression_problems(ranking, "oomRanking", "cgroupRankingExpression", "double")
    if "sampleInterval" in value and nanoseconds(value["sampleInterval"]) <= 0:
        yield Problem("sampleInterval", "must be longer than 0")


def _routing_rule(name: str, value: Mapping[str, Any]) -> Iterator[Problem]:
    priority = int(name) if name.isdigit() else 0
    if priority in _RESERVED_PRIORITIES or priority > 32765:
        yield Problem("name", "must be a priority between 1 and 32765 (32500 is taken)")
    if "table" not in value and value.get("action", "unicast") == "unicast":
        yield Problem("table", "a table or an action other than unicast is required")
    if value.get("fwMask") and not value.get("fwMark"):
        yield Problem("fwMask", "needs a fwMark")


def _rule(_: str, value: Mapping[str, Any]) -> Iterator[Problem]:
    selector = section(value, "portSelector")
    if not selector.get("ports"):
        yield Problem("portSelector.ports", "required")
    ranges = sorted(_bounds(port) for port in selector.get("ports", ()))
    for before, after in itertools.pairwise(ranges):
        if after[0] <= before[1]:
            yield Problem("portSelector.ports", f"ranges overlap at port {after[0]}")
    for low, high in ranges:
        if low > high:
            yield Problem("portSelector.ports", f"the range {low}-{high} runs backwards")
    for index, rule in enumerate(value.get("ingress", ())):
        if not rule.get("subnet"):
            yield Problem(f"ingress[{index}].subnet", "required")


def _bounds(port: int | str) -> tuple[int, int]:
    low, _, high = str(port).partition("-")
    return int(low), int(high or low)


def _time(_: str, value: Mapping[str, Any]) -> Iterator[Problem]:
    if "bootTimeout" in value and nanoseconds(value["bootTimeout"]) < 0:
        yield Problem("bootTimeout", "must not be negative")
    if "ntp" in value and "ptp" in value:
        yield Problem("ptp", "ntp and ptp exclude each other")


_CHECKS: Final[Mapping[str, tuple[DocumentCheck, ...]]] = {
    "BlackholeRouteConfig": (_blackhole,),
    "EnvironmentConfig": (_environment,),
    "EventSinkConfig": (_event_sink,),
    "ExtensionServiceConfig": (_extension,),
    "HostnameConfig": (_hostname,),
    "KmsgLogConfig": (_kernel_log,),
    "KubeSpanConfig": (_kubespan,),
    "LinkAliasConfig": (_alias,),
    "NetworkRuleConfig": (_rule,),
    "OOMConfig": (_out_of_memory,),
    "RoutingRuleConfig": (_routing_rule,),
    "SideroLinkConfig": (_siderolink,),
    "TCPProbeConfig": (_probe,),
    "TimeSyncConfig": (_time,),
    "WatchdogTimerConfig": (_watchdog,),
    "ZswapConfig": (_zswap,),
}
_GROUPS: Final = (_CHECKS, LINK_CHECKS, IMAGE_CHECKS, VOLUME_CHECKS)
