"""MachineService calls that only tell: version, name, services, memory, mounts, load, processes.

Figures of the hardware are constants, the rest is the machine's state. Changes nothing.
"""

from __future__ import annotations

import time
from typing import Any, Final

from engine.simulator.api.call import Call, Handler, Value, one, timestamp
from engine.simulator.hardware import GIB, MEMORY_KIB
from engine.simulator.services import Service

_GO: Final = "go1.26.3"
_BUILT: Final = "2026-01-01T00:00:00Z"


async def _version(call: Call) -> Value:
    machine = call.machine
    info = {
        "tag": machine.version,
        "sha": "51a0d0c0",
        "built": _BUILT,
        "go_version": _GO,
        "os": "linux",
        "arch": "amd64",
    }
    return one({"version": info, "platform": {"name": "metal", "mode": "metal"}, "features": {"rbac": True}})


async def _hostname(call: Call) -> Value:
    return one({"hostname": call.machine.hostname})


async def _services(call: Call) -> Value:
    return one({"services": [_service(service) for service in call.machine.services.all()]})


def _service(service: Service) -> Value:
    events = [
        {"msg": event.message, "state": event.state, "ts": timestamp(event.at)} for event in service.events
    ]
    health: dict[str, Any] = {"unknown": service.healthy is None, "healthy": service.healthy is True}
    if service.healthy is not None:
        health["last_message"] = service.last_message
        health["last_change"] = timestamp(service.last_change)
    return {"id": service.id, "state": service.state, "events": {"events": events}, "health": health}


async def _memory(_call: Call) -> Value:
    free = MEMORY_KIB // 2
    return one(
        {"meminfo": {"memtotal": MEMORY_KIB, "memfree": free, "memavailable": free, "cached": free // 4}}
    )


async def _mounts(call: Call) -> Value:
    disk = call.machine.system_disk
    if disk is None:
        return one({"stats": []})
    system = f"/dev/{disk.partition(6)}"
    return one(
        {"stats": [{"filesystem": system, "size": 18 * GIB, "available": 12 * GIB, "mounted_on": "/var"}]}
    )


async def _load(_call: Call) -> Value:
    return one({"load1": 0.42, "load5": 0.36, "load15": 0.31})


async def _system(call: Call) -> Value:
    up = time.time() - call.machine.booted_at
    total = {"user": up * 0.05, "system": up * 0.03, "idle": up * 0.92}
    return one({"boot_time": int(call.machine.booted_at), "cpu_total": total, "cpu": [total]})


async def _log_names(call: Call) -> Value:
    return one({"ids": [service.id for service in call.machine.services.all()]})


async def _processes(call: Call) -> Value:
    running = [service for service in call.machine.services.all() if service.running]
    return one(
        {
            "processes": [
                {
                    "pid": 100 + index,
                    "ppid": 1,
                    "state": "S",
                    "command": service.id,
                    "executable": f"/bin/{service.id}",
                }
                for index, service in enumerate(running)
            ]
        }
    )


async def _empty(_call: Call) -> Value:
    return one()


_SERVICE: Final = "machine.MachineService/"
METHODS: Final[dict[str, Handler]] = {
    _SERVICE + "Version": _version,
    _SERVICE + "Hostname": _hostname,
    _SERVICE + "ServiceList": _services,
    _SERVICE + "Memory": _memory,
    _SERVICE + "Mounts": _mounts,
    _SERVICE + "LoadAvg": _load,
    _SERVICE + "SystemStat": _system,
    _SERVICE + "LogsContainers": _log_names,
    _SERVICE + "Processes": _processes,
    _SERVICE + "Containers": _empty,
    _SERVICE + "Stats": _empty,
}
