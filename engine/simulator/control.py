"""The control socket: what a person or a test may do to the machines from outside.

A unix socket `control.sock` (0600) in the simulator's folder; one JSON object per line in, one
per line out. Every request has `op`; `machine` is an address, or `*` for all of them:

    {"op": "list"}                                    state of every machine
    {"op": "power-off" | "power-on", "machine": A}    cut or restore the power
    {"op": "silence" | "refuse" | "heal", "machine": A}   network faults, and their end
    {"op": "fail", "machine": A, "method": M, "code": "UNAVAILABLE", "count": 1, "lose_reply": false}
    {"op": "kill", "pid": P, "call": N, "moment": "before" | "after" | "replied"}   SIGKILL at a mutating call
    {"op": "count"}                                   count the mutating calls anew, and kill nobody
    {"op": "mutations"}                               the mutating calls since the start or the last count or kill
    {"op": "clear-faults"}                            forget ordered failures
    {"op": "drift", "machine": A, "merge": {...}}     somebody changes the v1alpha1 configuration by hand
    {"op": "wipe", "machine": A}                      an empty disk, powered off
    {"op": "database", "machine": A, "bytes": N}      size of its etcd database
    {"op": "alarm", "machine": A, "alarm": "NOSPACE" | "CORRUPT"}   raise an etcd alarm on its member
    {"op": "unhealthy", "machine": A, "service": S, "message": T}   a service's health check fails

The reply is {"ok": true, ...} or {"ok": false, "error": text}.
"""

from __future__ import annotations

import asyncio
import copy
import json
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import grpc
import yaml

from engine.simulator.faults import Fault, Faults
from engine.simulator.fleet import Fleet
from engine.simulator.life import renew_certificate
from engine.simulator.machine import Machine
from engine.simulator.mutations import MOMENTS, Kill, Mutations

Request = Mapping[str, Any]


class Control:
    """Serves the socket at `path`."""

    def __init__(self, path: Path, fleet: Fleet, faults: Faults, mutations: Mutations) -> None:
        self._path = path
        self._fleet = fleet
        self._faults = faults
        self._mutations = mutations
        self._server: asyncio.Server | None = None
        self._operations: Mapping[str, Callable[[Machine, Request], Awaitable[None]]] = {
            "power-off": self._power_off,
            "power-on": self._power_on,
            "silence": self._network,
            "refuse": self._network,
            "heal": self._network,
            "drift": self._drift,
            "wipe": self._wipe,
            "database": self._database,
            "alarm": self._alarm,
            "unhealthy": self._unhealthy,
        }

    async def start(self) -> None:
        self._path.unlink(missing_ok=True)
        # A unix address holds 107 bytes and the folder may lie deep: name it by its descriptor.
        folder = os.open(self._path.parent, os.O_RDONLY)
        before = os.umask(0o177)
        try:
            place = f"/proc/self/fd/{folder}/{self._path.name}"
            self._server = await asyncio.start_unix_server(self._serve, place)
        finally:
            os.umask(before)
            os.close(folder)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write((json.dumps(await self._answer(line)) + "\n").encode())
                await writer.drain()
        except (ConnectionError, ValueError):
            pass
        finally:
            writer.close()

    async def _answer(self, line: bytes) -> Mapping[str, Any]:
        try:
            request = json.loads(line)
            name = request["op"]
            if name == "list":
                return {
                    "ok": True,
                    "machines": [describe(machine) for machine in self._fleet.machines.values()],
                }
            if name == "mutations":
                return {"ok": True, "pending": self._mutations.pending, "mutations": self._mutations.list()}
            if name == "kill":
                self._mutations.order(_kill(request))
            elif name == "count":
                self._mutations.order(None)
            elif name == "fail":
                self._faults.order(_fault(request))
            elif name == "clear-faults":
                self._faults.clear()
            else:
                for machine in self._named(request["machine"]):
                    await self._operations[name](machine, request)
        except (KeyError, ValueError, TypeError, AttributeError, OSError) as error:
            return {"ok": False, "error": f"{type(error).__name__}: {error}"}
        return {"ok": True}

    def _named(self, address: str) -> list[Machine]:
        machines = self._fleet.machines
        return list(machines.values()) if address == "*" else [machines[address]]

    async def _power_off(self, machine: Machine, request: Request) -> None:
        await self._fleet.power_off(machine)

    async def _power_on(self, machine: Machine, request: Request) -> None:
        self._fleet.power_on(machine)

    async def _network(self, machine: Machine, request: Request) -> None:
        machine.set_fault("" if request["op"] == "heal" else request["op"])

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

    async def _database(self, machine: Machine, request: Request) -> None:
        machine.database_bytes = int(request["bytes"]) // 512 * 512

    async def _alarm(self, machine: Machine, request: Request) -> None:
        if machine.cluster is None or not machine.cluster.raise_alarm(machine, request["alarm"]):
            raise ValueError(f"{machine.address} has no etcd member")

    async def _unhealthy(self, machine: Machine, request: Request) -> None:
        machine.services.set_health(
            request["service"], False, str(request.get("message", "health check failed"))
        )


def describe(machine: Machine) -> Mapping[str, Any]:
    """What `list` says of a machine; no secret in it."""
    return {
        "address": machine.address,
        "powered": machine.disk.powered,
        "fault": machine.fault,
        "stage": machine.stage,
        "version": machine.version,
        "installed": machine.disk.installed,
        "configured": machine.disk.config is not None,
        "hostname": machine.hostname,
        "type": machine.config.machine_type if machine.config else None,
        "boot_id": machine.boot_id,
        "ready": not machine.unmet(),
        "etcd_member": f"{machine.disk.etcd[1]:016x}" if machine.disk.etcd else None,
        "services": {service.id: service.state for service in machine.services.all()},
    }


def _fault(request: Request) -> Fault:
    return Fault(
        machine=request.get("machine", "*"),
        method=request["method"],
        code=grpc.StatusCode[request.get("code", "UNAVAILABLE")],
        message=request.get("message", "ordered failure"),
        count=int(request.get("count", 1)),
        lose_reply=bool(request.get("lose_reply", False)),
    )


def _kill(request: Request) -> Kill:
    pid, call, moment = int(request["pid"]), int(request.get("call", 1)), request["moment"]
    if pid <= 1 or pid == os.getpid():
        raise ValueError(f"pid {pid}: only another process can be killed")
    os.kill(pid, 0)
    if call < 1:
        raise ValueError(f"call {call}: calls are counted from 1")
    if moment not in MOMENTS:
        raise ValueError(f"moment {moment!r}: one of {', '.join(MOMENTS)}")
    return Kill(pid, call, moment)


def _merge(target: dict[str, Any], changes: Mapping[str, Any]) -> None:
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(target.get(key), dict):
            _merge(target[key], value)
        elif value is None:
            target.pop(key, None)
        else:
            target[key] = value
