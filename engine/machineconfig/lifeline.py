"""What a machine may not lose: without it nobody reaches it again, or it is no longer of its cluster.

A patch is free to change everything else. Never looks at hardware or network. Source: talos-api 2.1 (apid's certificate
is signed by the machine's authority, workers get theirs by the machine token) and 3. Neighbour: `render` asks after
the last step which step cut what.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from engine.machineconfig.checks import Problem, section
from engine.machineconfig.config import Config

API_PORT: Final = 50000

_TYPES: Final = {"controlplane": ("controlplane", "init"), "worker": ("worker", "join")}
_SAME: Final = {
    ("machine", "type"): "a machine of another role cannot take part in its cluster as what it is",
    ("machine", "token"): "without the cluster's machine token it gets no certificate for its API",
    (
        "machine",
        "ca",
        "crt",
    ): "the operator trusts only machines whose certificate is of the cluster's authority",
    (
        "machine",
        "ca",
        "key",
    ): "without the authority's key a control plane signs no certificates for machines",
    ("cluster", "id"): "without the cluster's id its members do not find it",
    ("cluster", "secret"): "without the cluster's secret its members do not find it",
    ("cluster", "token"): "without the cluster's bootstrap token its kubelet cannot join",
    ("cluster", "ca", "crt"): "without the cluster's authority its kubelet cannot join",
    (
        "cluster",
        "ca",
        "key",
    ): "without the authority's key a control plane signs no certificates for kubelets",
    ("cluster", "etcd", "ca", "crt"): "without the cluster's etcd authority it cannot be a member",
    ("cluster", "etcd", "ca", "key"): "without the cluster's etcd authority it cannot be a member",
}
"""Place -> why it has to stay as the cluster's secrets say it."""
_KEPT: Final = {
    ("cluster", "serviceAccount", "key"): "without it no pod can authenticate itself",
    ("cluster", "aggregatorCA", "crt"): "without it no API is aggregated",
}
"""Place -> why there has to be something."""


def cut(base: Config, config: Config) -> list[Problem]:
    """What `base`, as it was generated, had and `config` no longer has; in the order of importance."""
    walls = [] if list(_firewall(base)) else _firewall(config)
    return [*_secrets(base.main, config.main), *_names(base.main, config.main), *walls]


def first_cut(
    base: Config, config: Config, before: Sequence[tuple[str, Config]]
) -> tuple[str, Problem] | None:
    """The first thing that is missed at the end, and the last step before which it was still there.

    `before` are the steps with the configuration that each of them found.
    """
    for problem in cut(base, config):
        intact = (
            where
            for where, former in reversed(before)
            if problem.path not in {each.path for each in cut(base, former)}
        )
        return next(intact, ""), problem
    return None


def foreign(documents: Iterable[Mapping[str, Any]], role: str, authority: str) -> Problem | None:
    """Why plain documents that the user wrote are not of this role in the cluster whose authority (PEM) is given."""
    machine = section(next((each for each in documents if "machine" in each), {}), "machine")
    kind = machine.get("type") or "worker"
    if kind not in _TYPES.get(role, ()):
        return Problem("machine.type", f"the configuration is that of a {kind}, the machine is a {role}")
    if _pem(section(machine, "ca").get("crt")) != authority.strip():
        return Problem("machine.ca.crt", f"must be the cluster's: {_SAME['machine', 'ca', 'crt']}")
    return None


def _secrets(base: Mapping[str, Any], main: Mapping[str, Any]) -> Iterator[Problem]:
    for places, same in ((_SAME, True), (_KEPT, False)):
        for place, why in places.items():
            wanted, found = _at(base, place), _at(main, place)
            if wanted and (not found or (same and found != wanted)):
                what = "changed" if found else "removed"
                yield Problem(".".join(place), f"must not be {what}: {why}")


def _names(base: Mapping[str, Any], main: Mapping[str, Any]) -> Iterator[Problem]:
    wanted = _at(base, ("machine", "certSANs")) or ()
    missing = [name for name in wanted if name not in (_at(main, ("machine", "certSANs")) or ())]
    if missing:
        message = f"must not lose {', '.join(missing)}: the machine's certificate would not be valid for it"
        yield Problem("machine.certSANs", message)


def _firewall(config: Config) -> Iterator[Problem]:
    default = config.find("NetworkDefaultActionConfig")
    if default is None or default.value.get("ingress") != "block":
        return
    for document in config.documents:
        selector = section(document.value, "portSelector")
        ports = selector.get("ports", ()) if document.kind == "NetworkRuleConfig" else ()
        if selector.get("protocol") == "tcp" and any(_holds(port) for port in ports):
            return
    message = f"blocks the machine's API: no NetworkRuleConfig lets TCP port {API_PORT} in"
    yield Problem("NetworkDefaultActionConfig: ingress", message)


def _holds(port: int | str) -> bool:
    low, _, high = str(port).partition("-")
    return int(low) <= API_PORT <= int(high or low)


def _pem(encoded: Any) -> str:
    try:
        return base64.b64decode(str(encoded or "")).decode().strip()
    except ValueError:
        return ""


def _at(value: Mapping[str, Any], place: tuple[str, ...]) -> Any:
    return section(value, *place[:-1]).get(place[-1])
