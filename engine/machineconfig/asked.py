"""The file by which a person asks for a configuration, read strictly (`machineconfig render --input`).

    contract: v1.13                  # the Talos version; "" is the newest
    clusterName: demo
    endpoint: https://10.5.0.2:6443
    kubernetesVersion: 1.36.3
    options: {installDisk: /dev/sda}  # of Talos's generator, see `_OPTIONS`
    patches: {all: [], controlplane: [], worker: []}   # names of files beside this one, in order
    machine: {}                      # a MachineSpec, as in the operator's objects

Never opens a file. Neighbours: `cluster` and `options` (what it becomes), `rendering`.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

from engine.machineconfig.cluster import Cluster
from engine.machineconfig.config import load_plain
from engine.machineconfig.contracts import contract
from engine.machineconfig.errors import ConfigError
from engine.machineconfig.machinespec import FIELDS
from engine.machineconfig.options import Options

_PATCHES: Final = ("all", "controlplane", "worker")
_CASE: Final = ("id", "op", "area", "machinery", "note", "now")
"""What a golden case says of itself; of no effect."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person asks for. `patches` are (role or `all`, file name); `machine` is a MachineSpec."""

    cluster: Cluster
    patches: tuple[tuple[str, str], ...] = ()
    machine: Mapping[str, Any] = field(default_factory=dict)
    endpoints: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()

    def patches_of(self, role: str) -> tuple[str, ...]:
        """The patch files of a role, those for all roles first."""
        return tuple(name for wanted in ("all", role) for of, name in self.patches if of == wanted)


def load_asked(text: str) -> Asked:
    """Read the file. Raises ConfigError naming the key that is unknown, missing or of a wrong type."""
    documents = load_plain(text)
    if len(documents) != 1 or not isinstance(documents[0], Mapping):
        raise ConfigError("Syntax", "the input is one YAML mapping")
    raw = documents[0]
    known = ("contract", "clusterName", "endpoint", "kubernetesVersion", "options", "patches", "machine")
    _refuse_unknown(raw, (*known, *_CASE), "")
    _check_contract(raw)
    machine = _mapping(raw, "machine", "")
    _refuse_unknown(machine, FIELDS, "machine")
    options = _mapping(raw, "options", "")
    _refuse_unknown(options, _OPTIONS, "options")
    read = {_OPTIONS[key][0]: _OPTIONS[key][1](value, f"options.{key}") for key, value in options.items()}
    own = {name: read.pop(name) for name in _NAMES if name in read}
    return Asked(
        Cluster(
            name=_text(_required(raw, "clusterName"), "clusterName"),
            endpoint=_text(raw.get("endpoint", ""), "endpoint"),
            version=_text(raw.get("contract", ""), "contract"),
            kubernetes=_text(raw.get("kubernetesVersion", ""), "kubernetesVersion").removeprefix("v"),
            sans=read.pop("sans", ()),
            pod_subnets=read.pop("pod_subnets", ()),
            service_subnets=read.pop("service_subnets", ()),
            domain=read.pop("domain", None),
            cni=read.pop("cni", "{}"),
            options=Options(**own),
            ahead=True,
        ),
        patches=tuple(_patches(_mapping(raw, "patches", ""))),
        machine=machine,
        endpoints=read.pop("endpoints", ()),
        roles=read.pop("roles", ()),
    )


_NAMES: Final = tuple(each.name for each in fields(Options))


def _check_contract(raw: Mapping[str, Any]) -> None:
    try:
        contract(_text(raw.get("contract", ""), "contract"), ahead=True)
    except ConfigError as error:
        raise ConfigError(error.reason, error.message, path="contract") from None


def _patches(raw: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    _refuse_unknown(raw, _PATCHES, "patches")
    return [(role, name) for role in raw for name in _texts(raw[role], f"patches.{role}")]


def _refuse_unknown(raw: Mapping[str, Any], known: Iterable[str], path: str) -> None:
    for key in raw:
        if key not in known:
            near = difflib.get_close_matches(str(key), list(known), n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            where = f"{path}.{key}" if path else str(key)
            raise ConfigError(
                "UnknownKey", f"unknown {'option' if path == 'options' else 'key'}{hint}", path=where
            )


def _required(raw: Mapping[str, Any], key: str) -> Any:
    if not raw.get(key):
        raise ConfigError("Invalid", "required", path=key)
    return raw[key]


def _mapping(raw: Mapping[str, Any], key: str, path: str) -> Mapping[str, Any]:
    found = raw.get(key)
    if found is None:
        return {}
    if not isinstance(found, Mapping):
        raise ConfigError("WrongType", "a mapping is needed here", path=f"{path}.{key}" if path else key)
    return found


def _text(value: Any, path: str) -> str:
    """A text; a number stands for itself, since versions are often written without quotes."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ConfigError("WrongType", "a text is needed here", path=path)
    return str(value)


def _texts(value: Any, path: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ConfigError("WrongType", "a list of texts is needed here", path=path)
    return tuple(_text(item, f"{path}[{index}]") for index, item in enumerate(value))


def _flag(value: Any, path: str) -> bool:
    if not isinstance(value, bool):
        raise ConfigError("WrongType", "true or false is needed here", path=path)
    return value


def _port(value: Any, path: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 65535:
        raise ConfigError("InvalidValue", "a port between 0 and 65535 is needed here", path=path)
    return value


def _pairs(value: Any, path: str) -> tuple[tuple[str, str], ...]:
    found = _mapping({"": value}, "", path)
    return tuple((str(key), _text(item, f"{path}.{key}")) for key, item in found.items())


def _mirrors(value: Any, path: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    found = _mapping({"": value}, "", path)
    return tuple((str(key), _texts(item, f"{path}.{key}")) for key, item in found.items())


def _network_plugin(value: Any, path: str) -> str:
    return json.dumps(_mapping({"": value}, "", path), sort_keys=True)


_OPTIONS: Final[Mapping[str, tuple[str, Callable[[Any, str], Any]]]] = {
    "additionalSANs": ("sans", _texts),
    "allowSchedulingOnControlPlanes": ("scheduling", _flag),
    "cni": ("cni", _network_plugin),
    "debug": ("debug", _flag),
    "discovery": ("discovery", _flag),
    "dnsDomain": ("domain", _text),
    "endpoints": ("endpoints", _texts),
    "extraKernelArgs": ("kernel_arguments", _texts),
    # Of no effect in Talos either, which turns it on by the contract (talos-config-rules 6).
    "hostDNSForwardKubeDNSToHost": ("forward", _flag),
    "hostname": ("hostname", _text),
    "installDisk": ("disk", _text),
    "installImage": ("image", _text),
    "kubePrismPort": ("prism_port", _port),
    "kubespan": ("kubespan", _flag),
    "localAPIServerPort": ("api_port", _port),
    "podSubnets": ("pod_subnets", _texts),
    "registryCACerts": ("authorities", _pairs),
    "registryInsecure": ("insecure", _texts),
    "registryMirrors": ("mirrors", _mirrors),
    "roles": ("roles", _texts),
    "serviceSubnets": ("service_subnets", _texts),
    "sysctls": ("sysctls", _pairs),
}
