"""All machines of one simulator, and their lives.

The only place that knows every machine. Makes them, finds them, powers them on and off. Neighbours: `process` makes a fleet, `routing` and `control` ask it.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable

from engine.simulator.cluster import Cluster
from engine.simulator.connections import Connections
from engine.simulator.disk import Disk, DiskStore, blank_disk
from engine.simulator.front import Front
from engine.simulator.life import live
from engine.simulator.machine import Machine
from engine.simulator.publication import publish
from engine.simulator.relay import Relay
from engine.simulator.site import Site
from engine.simulator.timing import Pace


class Fleet:
    """Machines by address, and their lives."""

    def __init__(
        self,
        store: DiskStore,
        connections: Connections,
        pace: Pace,
        port: int,
        settled: Callable[[Cluster], None],
    ) -> None:
        self.connections = connections
        self.machines: dict[str, Machine] = {}
        self._site = Site(store, pace, settled)
        self._port = port
        self._lives: dict[str, asyncio.Task[None]] = {}

    def add(
        self, addresses: list[str], versions: tuple[str, ...], disks: tuple[tuple[str, ...], ...]
    ) -> None:
        """Make a machine per address, with the disks of an earlier run where there are any.

        Versions of the boot medium and sets of disks are handed round the machines.
        """
        known = self._site.store.disks()
        fresh = {
            address: blank_disk(disks[index % len(disks)])
            for index, address in enumerate(addresses)
            if address not in known
        }
        self._site.store.save(fresh)
        for index, address in enumerate(addresses):
            disk = known.get(address) or fresh[address]
            self.machines[address] = self._machine(address, versions[index % len(versions)], disk)

    def _machine(self, address: str, version: str, disk: Disk) -> Machine:
        def admit(relay: Relay, tls: ssl.SSLObject) -> socket.socket | None:
            return self.connections.admit(self.machines[address], relay, tls)

        front = Front(address, self._port, admit)
        return Machine(address, version, disk, front=front, site=self._site, publish=publish)

    def live_at(self, speed: float) -> None:
        """Have all machines live so fast from now on; ValueError as `Pace.set`."""
        self._site.pace.set(speed)

    def check_addresses(self) -> None:
        """Raises SettingsError, naming the address, when a machine could not listen."""
        for machine in self.machines.values():
            machine.front.check()

    async def idle_listen(self) -> None:
        """Return once every machine that is on and has no configuration has shown itself, or broken."""
        for machine in self.machines.values():
            if machine.disk.powered and machine.disk.config is None:
                await machine.shown.wait()

    def power_on(self, machine: Machine) -> None:
        """Start the machine's life unless it runs; the disk remembers that it is on."""
        if machine.address in self._lives:
            return
        if not machine.disk.powered:
            machine.write(powered=True)
        task = asyncio.get_running_loop().create_task(live(machine), name=f"machine {machine.address}")
        self._lives[machine.address] = task
        task.add_done_callback(lambda ended: self._ended(machine, ended))

    async def power_off(self, machine: Machine) -> None:
        """Cut the power: nothing is stopped, connections vanish, the disk stays."""
        machine.write(powered=False)
        task = self._lives.get(machine.address)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def stop(self) -> None:
        """End every life without touching a disk, as when the simulator itself ends."""
        tasks = list(self._lives.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _ended(self, machine: Machine, task: asyncio.Task[None]) -> None:
        self._lives.pop(machine.address, None)
        machine.go_dark()
        machine.shown.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            task.get_loop().call_exception_handler(
                {"message": f"machine {machine.address} broke", "exception": error, "task": task}
            )
