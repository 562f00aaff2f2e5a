"""What keeps a machine from being ready, in the words of MachineStatus (talos-api 6).

Pure reading of a machine's state. Only the stages booting and running have checks: every other
stage reports ready. Neighbours: `publication` publishes, `projection` shows.
"""

from __future__ import annotations

from typing import TypeAlias

from engine.simulator.machine import Machine

Unmet: TypeAlias = tuple[str, str]
PODS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")


def unmet_conditions(machine: Machine) -> list[Unmet]:
    """(name, reason) of every condition that does not hold, in the order in which Talos checks."""
    if machine.stage not in ("booting", "running"):
        return []
    found: list[Unmet] = []
    if not machine.network_up:
        found.append(("network", "waiting on: address, connectivity, hostname, etc-files"))
    if services := _services(machine):
        found.append(("services", services))
    if machine.config and machine.config.control_plane and not machine.static_pods:
        found.append(
            ("staticPods", ", ".join(f"kube-system/{pod}-{machine.hostname} pending" for pod in PODS))
        )
    if machine.config and not machine.node_ready:
        found.append(("nodeReady", f'node "{machine.hostname}" status is not available yet'))
    return found


def _services(machine: Machine) -> str:
    required = {"apid", "machined", "kubelet"}
    if machine.config and machine.config.control_plane:
        required |= {"etcd", "trustd"}
    required |= {service.id for service in machine.services.all()}
    problems = []
    for name in sorted(required):
        if not machine.services.is_running(name):
            problems.append(f"{name} not running")
        elif not machine.services.is_well(name):
            problems.append(f"{name} not healthy")
    return ", ".join(problems)
