"""MachineService calls that set a sequence going or touch a service: reboot, shutdown, reset, upgrade.

The reply comes at once with the actor id; the sequence runs afterwards in `life`.
"""

from __future__ import annotations

import uuid
from typing import Final

from engine.simulator.api.call import Call, Handler, Value, one
from engine.simulator.hardware import named
from engine.simulator.machine import Order
from engine.simulator.refusal import invalid, precondition, unknown

_STATE_PARTITIONS: Final = frozenset({"STATE", "META"})


def _order(call: Call, order: Order) -> Value:
    call.machine.busy = order.name
    call.machine.orders.put_nowait(order)
    return {"actor_id": order.actor}


def _actor() -> str:
    return str(uuid.uuid4())


async def _reboot(call: Call) -> Value:
    return one(_order(call, Order("reboot", _actor())))


async def _shutdown(call: Call) -> Value:
    return one(_order(call, Order("shutdown", _actor())))


async def _reset(call: Call) -> Value:
    request = call.request
    for path in request.user_disks_to_wipe:
        if named(call.machine.disks, path) is None:
            raise invalid(f"user disk {path} does not exist")
    labels = {spec.label for spec in request.system_partitions_to_wipe}
    wipe_all = not labels or bool(labels & _STATE_PARTITIONS)
    order = Order(
        "reset",
        _actor(),
        graceful=request.graceful,
        reboot=request.reboot,
        wipe_all=wipe_all,
        keep_system=bool(labels),
    )
    return one(_order(call, order))


async def _upgrade(call: Call) -> Value:
    machine, image = call.machine, call.request.image
    if machine.disk.installed is None:
        raise precondition("Talos is not installed")
    if not image:
        raise invalid("installer image name is required")
    if machine.control_plane and not call.request.force and not call.request.preserve:
        _check_etcd(call)
    return one({"ack": "Upgrade request received", **_order(call, Order("upgrade", _actor(), image=image))})


def _check_etcd(call: Call) -> None:
    cluster = call.machine.cluster
    found = cluster.etcd_of(call.machine) if cluster else None
    if cluster is None or found is None:
        raise unknown("error validating etcd for upgrade: etcd is not running")
    members = found[0].members
    if len(members) == 2:
        raise unknown("error validating etcd for upgrade: etcd cluster has only 2 members")
    running = cluster.running(found[0].key)
    for member in members:
        if member.id not in running:
            raise unknown(f"error validating etcd for upgrade: etcd member {member.id:x} is not healthy")


async def _restart(call: Call) -> Value:
    service = call.request.id
    if service != "kubelet":
        raise unknown(f'service "{service}" doesn\'t support restart operation via API')
    call.machine.services.stop([service])
    call.machine.services.start(service)
    return one({"resp": f'Service "{service}" restarted'})


async def _start(call: Call) -> Value:
    service = call.request.id
    if service != "kubelet":
        raise unknown(f'service "{service}" doesn\'t support start operation via API')
    if not call.machine.services.is_running(service):
        call.machine.services.start(service)
    return one({"resp": f'Service "{service}" started'})


async def _stop(call: Call) -> Value:
    raise unknown(f'service "{call.request.id}" doesn\'t support stop operation via API')


_SERVICE: Final = "machine.MachineService/"
METHODS: Final[dict[str, Handler]] = {
    _SERVICE + "Reboot": _reboot,
    _SERVICE + "Shutdown": _shutdown,
    _SERVICE + "Reset": _reset,
    _SERVICE + "Upgrade": _upgrade,
    _SERVICE + "ServiceRestart": _restart,
    _SERVICE + "ServiceStart": _start,
    _SERVICE + "ServiceStop": _stop,
}
