"""Which machine answers a call: routing metadata `node` and `nodes` (talos-api 2.2).

Only a control plane machine forwards, and only to machines that accept the same authority.
Neighbours: `dispatch` asks, `fleet` has the machines.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import grpc

from engine.simulator.machine import Machine
from engine.simulator.refusal import Refusal, invalid


@dataclass(frozen=True, slots=True)
class Route:
    """Where a call goes: `target` as the caller wrote it, and its machine or the reason why not."""

    target: str
    machine: Machine | None
    refusal: Refusal | None = None


def routes(
    machine: Machine, machines: Mapping[str, Machine], metadata: Iterable[tuple[str, str | bytes]], path: str
) -> tuple[list[Route], bool]:
    """The routes of a call received by `machine`, and whether it is a fan-out. Raises Refusal."""
    values = [(key, str(value)) for key, value in metadata if key in ("node", "nodes", "proxyfrom")]
    single = [value for key, value in values if key == "node"]
    many = [value for key, value in values if key == "nodes"]
    if any(key == "proxyfrom" for key, _ in values) or not (single or many):
        return [Route("", machine)], False
    if len(single) > 1:
        raise invalid("node metadata must be single-valued")
    if many and not path.startswith(("machine.MachineService/", "storage.", "time.", "inspect.", "cluster.")):
        raise invalid(f"one-2-many proxying is not supported for method /{path}")
    if single:
        return [_route(machine, machines, single[0])], False
    return [_route(machine, machines, target) for target in many], True


def _route(machine: Machine, machines: Mapping[str, Machine], target: str) -> Route:
    if not target or target.count(":") == 1:
        return Route(target, None, Refusal(grpc.StatusCode.INTERNAL, f'invalid target "{target}"'))
    if target in (machine.address, machine.hostname, "127.0.0.1"):
        return Route(target, machine)
    if machine.maintenance or not machine.control_plane:
        return Route(target, None, Refusal(grpc.StatusCode.PERMISSION_DENIED, "no request forwarding"))
    found = machines.get(target) or next((one for one in machines.values() if one.hostname == target), None)
    if found is None or not _trusts(machine, found):
        text = f'connection error: desc = "transport: Error while dialing: dial tcp {target}:50000: connect: refused"'
        return Route(target, None, Refusal(grpc.StatusCode.UNAVAILABLE, text))
    return Route(target, found)


def _trusts(machine: Machine, other: Machine) -> bool:
    if machine.config is None or other.config is None or other.fault or not other.services.is_running("apid"):
        return False
    return machine.config.os_authority.crt in (other.config.os_authority.crt, *other.config.accepted)
