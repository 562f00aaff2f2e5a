"""What a machine does by itself: boot, wait in maintenance, install, run services, reboot, reset.

One task per machine runs `live`. A boot goes as far as it can; an order (reboot, reset, install,
...) takes over from it at any moment. Everything here follows from the disk, so a killed
simulator boots the same machines again. Neighbours: `machine` has the state, `cluster` the others,
`timing` the durations. Event and stage names are those of talos-api 1.8, 5.3 and 6.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from engine.machineconfig.certificates import Pair, issue_server_certificate, maintenance_certificate
from engine.simulator.cluster import Cluster
from engine.simulator.configuration import read_config, version_of_image
from engine.simulator.disk import RUINED
from engine.simulator.installing import NoDisk, choose
from engine.simulator.machine import Machine, Order
from engine.simulator.recovery import recover
from engine.simulator.services import BASE
from engine.simulator.tls import server_context

REMOVED: Final = "the member has been permanently removed from the cluster"
LEFT_OVER: Final = "the data directory holds no database that etcd can open"
RENEWAL_S: Final = 12 * 3600.0
STOPPED_IN_ORDER: Final = ("kubelet", "etcd", "cri", "trustd")


async def live(machine: Machine) -> None:
    """Boot again and again until the machine is shut down; cancelling is a power cut."""
    while machine.disk.powered:
        machine.power_up()
        boot = asyncio.create_task(_boot(machine), name=f"boot {machine.address}")
        try:
            order = await _next_order(machine, boot)
        finally:
            boot.cancel()
            await asyncio.wait([boot])
        await _SEQUENCES[order.name](machine, order)
        machine.go_dark()


async def _next_order(machine: Machine, boot: asyncio.Task[None]) -> Order:
    waiting = asyncio.create_task(machine.orders.get())
    try:
        await asyncio.wait([boot, waiting], return_when=asyncio.FIRST_COMPLETED)
        if boot.done():
            boot.result()
        return await waiting
    finally:
        waiting.cancel()


async def _boot(machine: Machine) -> None:
    timing, pace = machine.site.pace.timing, machine.site.pace
    await pace.pause(timing.firmware)
    machine.sequence("initialize", "START")
    machine.network_up = True
    for name in BASE:
        machine.services.start(name)
    addresses = {"hostname": machine.hostname, "addresses": [machine.address]}
    machine.events.add("AddressEvent", addresses)
    machine.sequence("initialize", "STOP")
    if machine.disk.config is None:
        _await_configuration(machine)
        return
    machine.activate(machine.disk.config)
    if machine.disk.installed is None:
        from engine.simulator.machine import Order

        machine.orders.put_nowait(Order("install"))
        return
    await _run(machine)


def _await_configuration(machine: Machine) -> None:
    _, leaf = maintenance_certificate(addresses=[machine.address], names=[machine.hostname], now=time.time())
    machine.maintenance = True
    if machine.minor >= (1, 13):
        machine.services.start("apid")
    machine.front.serve(server_context(leaf))
    machine.enter("maintenance")
    machine.shown.set()


async def _run(machine: Machine) -> None:
    timing, pace = machine.site.pace.timing, machine.site.pace
    machine.sequence("boot", "START")
    machine.services.move("apid", "Waiting", "Waiting for API certificates")
    await pace.pause(timing.apid)
    await _open_api(machine)
    async with asyncio.TaskGroup() as group:
        group.create_task(_run_runtime(machine))
        if machine.control_plane:
            group.create_task(_run_trustd(machine))
            group.create_task(_run_etcd(machine))
    machine.sequence("boot", "STOP")
    machine.enter("running")
    await _join_kubernetes(machine)


async def _open_api(machine: Machine) -> None:
    config, cluster = machine.config, machine.cluster
    assert config is not None
    assert cluster is not None
    # A worker holds no authority key: trustd of a control plane machine signs for it.
    await cluster.wait(lambda: signing_authority(machine) is not None)
    renew_certificate(machine)
    machine.services.start("apid")


def renew_certificate(machine: Machine) -> None:
    """Give new connections a certificate that fits the active configuration, if one can be had now."""
    config, authority = machine.config, signing_authority(machine)
    if config is None or authority is None:
        return
    names = [machine.hostname, *config.names]
    leaf = issue_server_certificate(authority, addresses=[machine.address], names=names, now=time.time())
    machine.front.serve(server_context(leaf, [config.os_authority.crt, *config.accepted]))


def signing_authority(machine: Machine) -> Pair | None:
    """Who signs a configured machine's server certificate now: its own authority, or that of a reachable trustd."""
    assert machine.config is not None
    assert machine.cluster is not None
    own = machine.config.os_authority
    if own.key:
        return own
    signer = machine.cluster.trustd(machine.config.token)
    return Pair(own.crt, signer.config.os_authority.key) if signer and signer.config else None


async def _run_runtime(machine: Machine) -> None:
    timing, pace = machine.site.pace.timing, machine.site.pace
    await pace.pause(timing.cri)
    machine.services.start("cri")
    machine.services.move("kubelet", "Preparing", "Running pre state")
    await pace.pause(timing.kubelet)
    machine.services.start("kubelet")


async def _run_trustd(machine: Machine) -> None:
    await machine.site.pace.pause(machine.site.pace.timing.trustd)
    machine.services.start("trustd")


async def _run_etcd(machine: Machine) -> None:
    timing, pace, cluster = machine.site.pace.timing, machine.site.pace, machine.cluster
    assert cluster is not None
    machine.services.move("etcd", "Waiting", 'Waiting for service "cri" to be "up"')
    await cluster.wait(lambda: machine.services.is_running("cri"))
    machine.services.move("etcd", "Preparing", "Running pre state")
    while machine.disk.etcd is None:
        await cluster.wait(lambda: _may_begin(machine, cluster))
        if machine.recovery is not None:
            await recover(machine, cluster)
        elif machine.disk.etcd is None and (known := cluster.joinable()) is not None:
            cluster.join(machine, known)
    if machine.services.state("etcd") == "Failed":
        await asyncio.Event().wait()
    await pace.pause(timing.etcd_start)
    found = cluster.etcd_of(machine)
    if found is None:
        ruined = machine.disk.etcd == RUINED
        machine.services.move("etcd", "Failed", LEFT_OVER if ruined else REMOVED)
        await asyncio.Event().wait()
        return
    machine.services.move("etcd", "Running", "Started task etcd")
    if found[1].learner:
        await pace.pause(timing.etcd_promote)
        cluster.promote(machine)
    await cluster.wait(lambda: machine.services.is_well("etcd"))


def _may_begin(machine: Machine, cluster: Cluster) -> bool:
    """Whether etcd has something to begin with; after a recovery that failed, only another Bootstrap."""
    if machine.disk.etcd is not None or machine.recovery is not None:
        return True
    return machine.services.state("etcd") != "Failed" and cluster.joinable() is not None


async def _join_kubernetes(machine: Machine) -> None:
    timing, pace, cluster = machine.site.pace.timing, machine.site.pace, machine.cluster
    assert cluster is not None
    if machine.control_plane:
        await pace.pause(timing.static_pods)
        machine.static_pods = True
        machine.refresh()
        cluster.touch()
    await cluster.wait(cluster.kubernetes_api)
    await pace.pause(timing.node_ready)
    machine.node_ready = True
    machine.refresh()
    cluster.touch()
    while True:
        await asyncio.sleep(RENEWAL_S)
        renew_certificate(machine)


async def _install(machine: Machine, _order: Order) -> None:
    timing, pace = machine.site.pace.timing, machine.site.pace
    machine.busy = "install"
    machine.enter("installing")
    await pace.wind_down(timing.maintenance_apply)
    machine.front.close()
    machine.maintenance = False
    machine.sequence("install", "START")
    machine.phase("install")
    text = machine.disk.config
    assert text is not None
    config = read_config(text)
    await pace.pause(timing.install)
    try:
        disk = choose(config, machine.disks)
    except NoDisk as reason:
        machine.sequence("install", "STOP", error=str(reason))
        machine.write(config=None)
        return
    machine.write(installed=version_of_image(config.install_image) or machine.version, system=disk.name)
    machine.sequence("install", "STOP")
    machine.enter("rebooting")


async def _reboot(machine: Machine, order: Order) -> None:
    await _stop_services(machine, order, "reboot")


async def _shutdown(machine: Machine, order: Order) -> None:
    machine.enter("shutting down")
    await _stop_services(machine, order, "shutdown", stage=False)
    machine.write(powered=False)


async def _reset(machine: Machine, order: Order) -> None:
    machine.enter("resetting")
    machine.sequence("reset", "START", order.actor)
    if order.graceful and machine.control_plane and machine.disk.etcd and machine.cluster:
        machine.phase("leave", order.actor)
        machine.cluster.leave(machine)
    machine.phase("stopServices", order.actor)
    machine.services.stop(STOPPED_IN_ORDER)
    await machine.site.pace.wind_down(machine.site.pace.timing.wipe)
    if order.wipe_all:
        machine.wipe(keep_system=order.keep_system)
    else:
        machine.upload.unlink(missing_ok=True)
        machine.write(etcd=None, images=())
    machine.sequence("reset", "STOP", order.actor)
    if not order.reboot:
        machine.write(powered=False)


async def _upgrade(machine: Machine, order: Order) -> None:
    machine.enter("upgrading")
    machine.sequence("upgrade", "START", order.actor)
    for phase in ("drain", "cleanup", "stopServices", "unmountSystem"):
        machine.phase(phase, order.actor)
    machine.services.stop(STOPPED_IN_ORDER)
    machine.phase("upgrade", order.actor)
    await machine.site.pace.wind_down(machine.site.pace.timing.install)
    machine.write(installed=version_of_image(order.image) or machine.version)
    machine.phase("kexec", order.actor)
    machine.enter("rebooting")


async def _stop_services(machine: Machine, order: Order, sequence: str, *, stage: bool = True) -> None:
    if stage:
        machine.enter("rebooting")
    machine.busy = sequence
    machine.sequence(sequence, "START", order.actor)
    for phase in ("cleanup", "stopServices", "unmountSystem"):
        machine.phase(phase, order.actor)
    machine.services.stop(STOPPED_IN_ORDER)
    await machine.site.pace.wind_down(machine.site.pace.timing.stop_services)
    machine.sequence(sequence, "STOP", order.actor)


_SEQUENCES: Final[dict[str, Callable[[Machine, Order], Awaitable[None]]]] = {
    "install": _install,
    "reboot": _reboot,
    "shutdown": _shutdown,
    "reset": _reset,
    "upgrade": _upgrade,
}
