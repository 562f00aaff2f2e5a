"""What a person or a test does to one machine from outside: power, network, disk, services.

Each operation takes the machine and the request of the control socket, and raises ValueError or
KeyError when it makes no sense. Neighbour: `control` reads the requests.
"""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

import yaml

from engine.etcdfile.layout import PAGE
from engine.simulator.disk import RUINED
from engine.simulator.etcd import EtcdCluster
from engine.simulator.flapping import Flapping
from engine.simulator.fleet import Fleet
from engine.simulator.hardware import read_disks
from engine.simulator.impostor import impostor
from engine.simulator.life import renew_certificate
from engine.simulator.machine import Machine
from engine.simulator.status import unmet_conditions

Request: TypeAlias = Mapping[str, Any]
Operation: TypeAlias = Callable[[Machine, Request], Awaitable[None]]


class Interventions:
    """The operations by name, in `operations`."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._flapping = Flapping()
        self.operations: Mapping[str, Operation] = {
            "power-off": self._power_off,
            "power-on": self._power_on,
            "silence": self._network,
            "unplug": self._network,
            "refuse": self._network,
            "wrong-certificate": self._wrong_certificate,
            "flap": self._flap,
            "heal": self._heal,
            "drift": self._drift,
            "wipe": self._wipe,
            "disks": self._disks,
            "database": self._database,
            "put": self._put,
            "alarm": self._alarm,
            "unhealthy": self._unhealthy,
            "healthy": self._healthy,
        }

    async def stop(self) -> None:
        await self._flapping.stop()

    async def _power_off(self, machine: Machine, request: Request) -> None:
        await self._fleet.power_off(machine)

    async def _power_on(self, machine: Machine, request: Request) -> None:
        self._fleet.power_on(machine)

    async def _network(self, machine: Machine, request: Request) -> None:
        machine.set_fault(request["op"])

    async def _wrong_certificate(self, machine: Machine, request: Request) -> None:
        machine.set_fault("wrong-certificate", impostor(machine, str(request["kind"])))

    async def _flap(self, machine: Machine, request: Request) -> None:
        self._flapping.start(machine, str(request["service"]), float(request["period"]))

    async def _heal(self, machine: Machine, request: Request) -> None:
        self._flapping.rest(machine)
        machine.set_fault("")

    async def _drift(self, machine: Machine, request: Request) -> None:
        if machine.config is None:
            raise ValueError(f"{machine.address} has no configuration")
        documents = [copy.deepcopy(dict(document)) for document in machine.config.documents]
        main = next(document for document in documents if "kind" not in document)
        _merge(main, request["merge"])
        text = yaml.safe_dump_all(documents, sort_keys=False)
        machine.write(config=text)
        machine.activate(text)
        renew_certificate(machine)

    async def _wipe(self, machine: Machine, request: Request) -> None:
        await self._fleet.power_off(machine)
        machine.wipe(keep_system=False)

    async def _disks(self, machine: Machine, request: Request) -> None:
        texts = tuple(str(text) for text in request["disks"])
        names = [disk.name for disk in read_disks(texts)]
        if machine.disk.system and machine.disk.system not in names:
            raise ValueError(f"{machine.address} runs from {machine.disk.system}, which is not among them")
        machine.write(disks=texts)

    async def _database(self, machine: Machine, request: Request) -> None:
        machine.write(database_bytes=int(request["bytes"]) // PAGE * PAGE)

    async def _put(self, machine: Machine, request: Request) -> None:
        key, value = str(request["key"]), str(request["value"])
        if machine.cluster is None or not machine.cluster.put(machine, key, value):
            raise ValueError(f"{machine.address} has no etcd member")

    async def _alarm(self, machine: Machine, request: Request) -> None:
        if machine.cluster is None or not machine.cluster.raise_alarm(machine, request["alarm"]):
            raise ValueError(f"{machine.address} has no etcd member")

    async def _unhealthy(self, machine: Machine, request: Request) -> None:
        message = str(request.get("message", "health check failed"))
        machine.services.set_health(request["service"], False, message)

    async def _healthy(self, machine: Machine, request: Request) -> None:
        machine.services.set_health(request["service"], True, "")


def describe(machine: Machine) -> Mapping[str, Any]:
    """What `list` says of a machine; no secret in it."""
    member = machine.disk.etcd
    known = machine.cluster.etcd_of(machine) if machine.cluster is not None else None
    return {
        "address": machine.address,
        "powered": machine.disk.powered,
        "fault": machine.fault,
        "stage": machine.stage,
        "version": machine.version,
        "installed": machine.disk.installed,
        "disks": list(machine.disk.disks),
        "system_disk": machine.disk.system or None,
        "configured": machine.disk.config is not None,
        "hostname": machine.hostname,
        "type": machine.config.machine_type if machine.config else None,
        "boot_id": machine.boot_id,
        "ready": not unmet_conditions(machine),
        "etcd_member": f"{member[1]:016x}" if member and member != RUINED else None,
        "etcd": None if known is None else _etcd(known[0]),
        "services": {service.id: service.state for service in machine.services.all()},
    }


def _etcd(known: EtcdCluster) -> Mapping[str, Any]:
    return {
        "cluster": known.key,
        "restored_from": known.restored_from or None,
        "revision": known.revision,
        "keys": {key: value for key, value, _ in known.keys},
    }


def _merge(target: dict[str, Any], changes: Mapping[str, Any]) -> None:
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(target.get(key), dict):
            _merge(target[key], value)
        elif value is None:
            target.pop(key, None)
        else:
            target[key] = value
