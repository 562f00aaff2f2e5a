"""Who may call what, on which Talos version, in which mode (talos-api 1.2 to 1.5 and 1.9).

Pure tables and one decision. A method without an entry is for administrators. Neighbours:
`dispatch` asks before each call, `api` has the handlers.
"""

from __future__ import annotations

from typing import Final

import grpc

from engine.simulator.refusal import Refusal

ADMIN: Final = "os:admin"
OPERATOR: Final = "os:operator"
READER: Final = "os:reader"
BACKUP: Final = "os:etcd:backup"
META: Final = "os:meta:writer"
VERIFIER: Final = "os:image:verifier"
IMPERSONATOR: Final = "os:impersonator"

_MACHINE: Final = "machine.MachineService/"
_READ: Final = frozenset({ADMIN, OPERATOR, READER})
_OPERATE: Final = frozenset({ADMIN, OPERATOR})
_READERS: Final = [
    "Version",
    "Hostname",
    "ServiceList",
    "Events",
    "Dmesg",
    "Logs",
    "LogsContainers",
    "List",
    "DiskUsage",
    "ImageList",
    "Containers",
    "Stats",
    "Processes",
    "Mounts",
    "Memory",
    "LoadAvg",
    "SystemStat",
    "DiskStats",
    "NetworkDeviceStats",
    "CPUInfo",
    "CPUFreqStats",
    "Netstat",
]
_OPERATORS: Final = [
    "Reboot",
    "Shutdown",
    "ServiceStart",
    "ServiceStop",
    "ServiceRestart",
    "ImagePull",
    "Restart",
    "PacketCapture",
    "EtcdAlarmDisarm",
    "EtcdDefragment",
]
_ROLES: Final[dict[str, frozenset[str]]] = {
    **{_MACHINE + name: _READ for name in _READERS},
    **{_MACHINE + name: _OPERATE for name in _OPERATORS},
    **{_MACHINE + name: _READ | {BACKUP} for name in ("EtcdMemberList", "EtcdStatus", "EtcdAlarmList")},
    _MACHINE + "EtcdSnapshot": _OPERATE | {BACKUP},
    _MACHINE + "MetaWrite": frozenset({ADMIN, META}),
    _MACHINE + "MetaDelete": frozenset({ADMIN, META}),
    "storage.StorageService/Disks": _READ,
    "machine.ImageService/Pull": _OPERATE,
    "machine.ImageService/List": _READ,
    "machine.ImageService/Verify": _READ | {VERIFIER},
    "time.TimeService/Time": _READ,
    "time.TimeService/TimeCheck": _READ,
    "inspect.InspectService/ControllerRuntimeDependencies": _READ,
    "cluster.ClusterService/HealthCheck": _READ,
    **{f"cosi.resource.State/{name}": _READ for name in ("Get", "List", "Watch")},
}
_SINCE: Final[dict[str, tuple[int, int]]] = {
    "machine.LifecycleService": (1, 13),
    "machine.ImageService": (1, 13),
    "machine.DebugService": (1, 13),
    "machine.LVMService": (1, 14),
    "machine.MDService": (1, 14),
    "machine.StorageService": (1, 15),
}
_METHODS_SINCE: Final[dict[str, tuple[int, int]]] = {
    _MACHINE + "EtcdDowngradeValidate": (1, 11),
    _MACHINE + "EtcdDowngradeEnable": (1, 11),
    _MACHINE + "EtcdDowngradeCancel": (1, 11),
}
# Open without a certificate in maintenance mode although they are not for readers.
_MAINTENANCE: Final = frozenset({_MACHINE + "ApplyConfiguration", "storage.StorageService/BlockDeviceWipe"})
# All that the separate maintenance service of Talos 1.12 and older answers without SideroLink.
_OLD_MAINTENANCE: Final = frozenset(
    {
        _MACHINE + "ApplyConfiguration",
        "storage.StorageService/Disks",
        "storage.StorageService/BlockDeviceWipe",
        "cosi.resource.State/Get",
        "cosi.resource.State/List",
        "cosi.resource.State/Watch",
    }
)


def check(path: str, *, minor: tuple[int, int], maintenance: bool, roles: frozenset[str]) -> None:
    """Raise the Refusal that Talos would give before the handler runs, if any."""
    service, _, _ = path.partition("/")
    if minor < _SINCE.get(service, (0, 0)):
        raise Refusal(grpc.StatusCode.UNIMPLEMENTED, f"unknown service {service}")
    if minor < _METHODS_SINCE.get(path, (0, 0)):
        method = path.rpartition("/")[2]
        raise Refusal(grpc.StatusCode.UNIMPLEMENTED, f"unknown method {method} for service {service}")
    if maintenance and minor < (1, 13):
        if path not in _OLD_MAINTENANCE:
            raise Refusal(grpc.StatusCode.UNIMPLEMENTED, "API is not implemented in maintenance mode")
        return
    allowed = _ROLES.get(path, frozenset({ADMIN}))
    if maintenance and path in _MAINTENANCE:
        allowed = allowed | {READER}
    if not roles & allowed:
        raise Refusal(grpc.StatusCode.PERMISSION_DENIED, "not authorized")
