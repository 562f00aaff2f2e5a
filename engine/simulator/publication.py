"""Show what a machine is: its resources and, when its readiness changed, an event.

Never changes the machine but for what it announced last. Neighbours: `machine` calls this after
changes, once per turn of the loop; `status` and `projection` compute what is shown.
"""

from __future__ import annotations

from engine.simulator.machine import Machine
from engine.simulator.projection import resources_of
from engine.simulator.status import unmet_conditions


def publish(machine: Machine) -> None:
    """Bring the resources up to date; announce stage and unmet conditions if they are new."""
    unmet = unmet_conditions(machine)
    if (machine.stage, unmet) != machine.announced:
        machine.announced = (machine.stage, unmet)
        conditions = [{"name": name, "reason": reason} for name, reason in unmet]
        stage = machine.stage.upper().replace(" ", "_")
        status = {"ready": not unmet, "unmet_conditions": conditions}
        machine.events.add("MachineStatusEvent", {"stage": stage, "status": status})
    machine.resources.sync(resources_of(machine, unmet))
