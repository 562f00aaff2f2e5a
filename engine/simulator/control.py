"""The control socket: what a person or a test may do to the machines and their callers from outside.

A unix socket `control.sock` (0600) in the simulator's folder; one JSON object per line in, one
per line out. Every request has `op`; `machine` is an address, or `*` for all of them:

    {"op": "list"}                                    state of every machine
    {"op": "power-off" | "power-on", "machine": A}    cut or restore the power
    {"op": "silence" | "unplug" | "refuse", "machine": A}   network faults
    {"op": "wrong-certificate", "machine": A, "kind": "foreign" | "expired" | "wrong-name"}
    {"op": "flap", "machine": A, "service": S, "period": SECONDS}   a service fails and recovers again and again
    {"op": "heal", "machine": A}                      the end of all these faults
    {"op": "fail" | "lose-reply" | "reset" | "slow", "machine": A, "method": M, "count": N, ...}   see `faults`
    {"op": "stream", "machine": A, "method": M, "how": "cut" | "end" | "silent" | "slow" | "corrupt" | "short",
     "bytes": N, "rate": BYTES_A_SECOND, "count": N}   see `streamfaults`
    {"op": "put", "machine": A, "key": K, "value": V}  write a key into its etcd
    {"op": "clear-faults"}                            forget these orders about calls
    {"op": "kill", "pid": P, "call": N, "moment": "before" | "after" | "replied"}   SIGKILL at a mutating call
    {"op": "count"}                                   count the mutating calls anew, and kill nobody
    {"op": "speed", "factor": N}                      how fast the machines live from now on; 1 is normal
    {"op": "mutations"}                               the mutating calls since the start or the last count or kill
    {"op": "drift", "machine": A, "merge": {...}}     somebody changes the v1alpha1 configuration by hand
    {"op": "wipe", "machine": A}                      an empty disk, powered off
    {"op": "disks", "machine": A, "disks": [D, ...]}  the disks built into it, in the words of `hardware`
    {"op": "database", "machine": A, "bytes": N}      size of its etcd database
    {"op": "alarm", "machine": A, "alarm": "NOSPACE" | "CORRUPT"}   raise an etcd alarm on its member
    {"op": "unhealthy", "machine": A, "service": S, "message": T}   a service's health check fails; `healthy`: no more

The reply is {"ok": true, ...} or {"ok": false, "error": text}.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import grpc

from engine.base.control import ControlSocket
from engine.base.kills import kill_in
from engine.simulator.faults import EFFECTS, Effect, Fault, Faults
from engine.simulator.fleet import Fleet
from engine.simulator.interventions import Interventions, Request, describe
from engine.simulator.machine import Machine
from engine.simulator.mutations import Mutations
from engine.simulator.streamfaults import stream_fault


class Control:
    """Serves the socket at `path`."""

    def __init__(self, path: Path, fleet: Fleet, faults: Faults, mutations: Mutations) -> None:
        self._socket = ControlSocket(path, self._carry_out)
        self._fleet = fleet
        self._faults = faults
        self._mutations = mutations
        self._interventions = Interventions(fleet)

    async def start(self) -> None:
        await self._socket.start()

    async def stop(self) -> None:
        await self._socket.stop()
        await self._interventions.stop()

    async def _carry_out(self, name: str, request: Request) -> Mapping[str, Any]:
        if name == "list":
            return {"machines": [describe(machine) for machine in self._fleet.machines.values()]}
        if name == "mutations":
            return {"pending": self._mutations.pending, "mutations": self._mutations.list()}
        if name in EFFECTS:
            self._faults.order(_fault(request))
        elif name == "clear-faults":
            self._faults.clear()
        elif name == "kill":
            self._mutations.order(kill_in(request))
        elif name == "count":
            self._mutations.order(None)
        elif name == "speed":
            self._fleet.live_at(float(request["factor"]))
        else:
            operation = self._interventions.operations.get(name)
            if operation is None:
                raise ValueError(f"there is no operation {name!r}")
            for machine in self._named(request["machine"]):
                await operation(machine, request)
        return {}

    def _named(self, address: str) -> list[Machine]:
        machines = self._fleet.machines
        if address != "*" and address not in machines:
            raise ValueError(f"there is no machine {address!r}")
        return list(machines.values()) if address == "*" else [machines[address]]


def _fault(request: Request) -> Fault:
    # `lose_reply` in an order to fail is the older way to say it.
    effect: Effect = "lose-reply" if request.get("lose_reply") else request["op"]
    slow = effect == "slow"
    seconds = float(request["seconds"]) if slow else 0.0
    if slow and seconds <= 0:
        raise ValueError(f"seconds {seconds}: more than 0")
    stream = None
    if effect == "stream":
        stream = stream_fault(request["how"], int(request.get("bytes", 0)), float(request.get("rate", 0)))
    return Fault(
        effect=effect,
        machine=request.get("machine", "*"),
        method=request.get("method", "*") if slow else request["method"],
        code=grpc.StatusCode[request.get("code", "UNAVAILABLE")],
        message=request.get("message", "ordered failure"),
        count=int(request.get("count", -1 if slow else 1)),
        seconds=seconds,
        stream=stream,
    )
