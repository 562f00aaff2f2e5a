"""Services that go up and down with a period because somebody ordered it.

A flapping service fails for half of each period and runs in the other half, through reboots and
power cuts, until it is told to rest. Neighbours: `interventions` orders, `services` keeps the states.
"""

from __future__ import annotations

import asyncio

from engine.simulator.machine import Machine


class Flapping:
    """Every flapping service, by machine and name."""

    def __init__(self) -> None:
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}

    def start(self, machine: Machine, service: str, period_s: float) -> None:
        """Let a service flap, in another rhythm if it does already. Raises ValueError for no period."""
        if period_s <= 0:
            raise ValueError(f"period {period_s}: more than 0 seconds")
        if machine.services.get(service) is None:
            raise ValueError(f"{machine.address} has no service {service!r}")
        self._rest(machine.address, service)
        task = asyncio.create_task(_flap(machine, service, period_s / 2), name=f"flapping {service}")
        self._tasks[machine.address, service] = task

    def rest(self, machine: Machine) -> None:
        """End all flapping of a machine; what is down at that moment comes up."""
        for address, service in list(self._tasks):
            if address == machine.address:
                self._rest(address, service)

    async def stop(self) -> None:
        """End everything: the simulator stops."""
        tasks = list(self._tasks.values())
        for key in list(self._tasks):
            self._rest(*key)
        if tasks:
            await asyncio.wait(tasks)

    def _rest(self, address: str, service: str) -> None:
        task = self._tasks.pop((address, service), None)
        if task is not None:
            task.cancel()


async def _flap(machine: Machine, service: str, half_s: float) -> None:
    down = False
    try:
        while True:
            await asyncio.sleep(half_s)
            if down:
                _up(machine, service)
                down = False
            elif machine.services.is_running(service):
                machine.services.set_health(service, False, "context deadline exceeded")
                machine.services.move(service, "Failed", "Failed to run service: exit code 1")
                down = True
    finally:
        if down:
            _up(machine, service)


def _up(machine: Machine, service: str) -> None:
    found = machine.services.get(service)
    # After a reboot it is again the boot that starts it.
    if found is not None and found.state == "Failed":
        machine.services.start(service)
