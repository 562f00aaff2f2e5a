"""StorageService: the disks, and wiping one that is not in use."""

from __future__ import annotations

import time
from typing import Final

import grpc

from engine.simulator.api.call import Call, Handler, Value, one, timestamp
from engine.simulator.hardware import BlockDevice, named
from engine.simulator.refusal import Refusal, precondition


async def _disks(call: Call) -> Value:
    system = call.machine.system_disk
    return one({"disks": [_disk(disk, system=disk is system) for disk in call.machine.disks]})


def _disk(disk: BlockDevice, *, system: bool) -> Value:
    return {
        "size": disk.size,
        "model": disk.model,
        "device_name": disk.path,
        "name": disk.name,
        "serial": disk.serial,
        "type": disk.kind,
        "bus_path": disk.bus_path,
        "system_disk": system,
        "subsystem": "/sys/class/block",
        "readonly": disk.readonly,
    }


async def _wipe(call: Call) -> Value:
    for wanted in call.request.devices:
        found = named(call.machine.disks, f"/dev/{wanted.device}")
        if found is None:
            raise Refusal(grpc.StatusCode.NOT_FOUND, f"blockdevice {wanted.device!r} not found")
        if found.kind == "CD":
            raise precondition(f"blockdevice {wanted.device!r} is a CD-ROM")
        if found.readonly:
            raise precondition(f"blockdevice {wanted.device!r} is read-only")
        if found.boot:
            raise precondition(f"blockdevice {wanted.device!r} is in use")
        if found is call.machine.system_disk:
            raise precondition(f"blockdevice {wanted.device!r} is in use by volume EPHEMERAL")
    return one()


async def _time(_call: Call) -> Value:
    now = timestamp(time.time())
    return one({"server": "time.cloudflare.com", "localtime": now, "remotetime": now})


METHODS: Final[dict[str, Handler]] = {
    "storage.StorageService/Disks": _disks,
    "storage.StorageService/BlockDeviceWipe": _wipe,
    "time.TimeService/Time": _time,
    "time.TimeService/TimeCheck": _time,
}
