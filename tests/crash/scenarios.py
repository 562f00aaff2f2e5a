"""What a trial does to a cluster, from where, and when it is done.

Small clusters, because what is counted is calls: one control plane machine with a worker, and three control plane
machines where etcd's quorum is at stake. Neighbours: `trial` runs them, `world` carries out.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.crash.record import Sight
from tests.crash.world import World

API = "talos.alperen.cloud/v1alpha1"
OURS = frozenset({"TalosCluster", "TalosControlPlane", "TalosWorker", "TalosMachine"})
Document = dict[str, Any]


@dataclass(frozen=True)
class Scenario:
    """`begin` is the name of the scenario whose end it starts from; None: machines without a system."""

    name: str
    controls: int
    workers: int
    begin: str | None
    act: Callable[[World, Scenario], None]
    done: Callable[[Sight], str]
    """Why it is not done yet, or ""."""
    slowest: float = 1.0
    """A speed at which a machine is still at what it was told when the next engine looks at it."""
    later: Callable[[World, Scenario, Sight], bool] = lambda world, scenario, sight: True
    """What the user does while the engine works, asked until it is done; tells whether it is."""
    measured: bool = field(default=True)
    """Whether the matrix kills in it."""
    races: bool = False
    """Whether it is left to chance which of two things comes first, so that effects differ (O2 is not asked)."""

    @property
    def machines(self) -> int:
        return self.controls + self.workers

    def document(self, prefix: str) -> Document:
        """The TalosCluster in one piece."""

        def pool(first: int, count: int) -> Document:
            machines = [{"address": f"{prefix}.{number}"} for number in range(first, first + count)]
            common = {"version": "v1.13.0", "kubeVersion": "v1.34.1", "mode": "metal"}
            return {**common, "metalSpec": {"machines": machines}}

        spec = {"controlPlane": {**pool(1, self.controls), "endpoint": f"https://{prefix}.1:6443"}}
        if self.workers:
            spec["worker"] = pool(1 + self.controls, self.workers)
        return {"apiVersion": API, "kind": "TalosCluster", "metadata": {"name": "crash"}, "spec": spec}


def _bring_up(world: World, scenario: Scenario) -> None:
    world.apply(scenario.document(world.prefix))


def _change(world: World, scenario: Scenario) -> None:
    changed = copy.deepcopy(scenario.document(world.prefix))
    for part in changed["spec"].values():
        part["metalSpec"]["machineSpec"] = {"configPatches": [{"machine": {"env": {"GREETING": "hello"}}}]}
    world.apply(changed)


def _shrink(world: World, scenario: Scenario) -> None:
    shrunk = scenario.document(world.prefix)
    shrunk["spec"]["controlPlane"]["metalSpec"]["machines"].pop()
    world.apply(shrunk)


def _remove(world: World, scenario: Scenario) -> None:
    world.delete(scenario.document(world.prefix))


def _regret(world: World, scenario: Scenario, sight: Sight) -> bool:
    """Delete everything as soon as a machine may apply the change, and before it does where watches lag."""
    machines = [each for each in sight.objects if each["kind"] == "TalosMachine"]
    if not any(
        "talos.alperen.cloud/release" in (each["metadata"].get("annotations") or {}) for each in machines
    ):
        return False
    for each in sight.objects:
        if each["kind"] in OURS:
            world.delete(each)
    return True


def _ready(sight: Sight) -> str:
    ours = [each for each in sight.objects if each["kind"] in OURS]
    if not any(each["kind"] == "TalosCluster" for each in ours):
        return "there is no TalosCluster"
    for each in ours:
        status, metadata = each.get("status") or {}, each["metadata"]
        ready = next((item for item in status.get("conditions") or () if item["type"] == "Ready"), {})
        if ready.get("status") != "True":
            return f"{each['kind']} {metadata['name']}: {ready.get('reason')}: {ready.get('message')}"
        if status.get("observedGeneration") != metadata["generation"]:
            return f"{each['kind']} {metadata['name']}: its last change was not looked at yet"
    return _lanes_free(sight)


def _smaller(sight: Sight) -> str:
    free = [each for each in sight.machines if each["stage"] == "maintenance"]
    members = [each for each in sight.machines if each["etcd_member"]]
    if not free or len(members) + len(free) != len(sight.machines):
        return f"{len(members)} machines are members, {len(free)} wiped"
    return _ready(sight)


def _gone(sight: Sight) -> str:
    left = [f"{each['kind']} {each['metadata']['name']}" for each in sight.objects if each["kind"] in OURS]
    if left:
        return f"{', '.join(left)} left"
    running = [each["address"] for each in sight.machines if each["stage"] != "maintenance"]
    return f"{', '.join(running)} not wiped" if running else _lanes_free(sight)


def _lanes_free(sight: Sight) -> str:
    held = [each["metadata"]["name"] for each in sight.objects if each["kind"] == "Lease"]
    return f"{', '.join(held)} held" if held else ""


SCENARIOS = {
    each.name: each
    for each in (
        Scenario("bringup", 1, 1, None, _bring_up, _ready, slowest=0.5),
        Scenario("quorum", 3, 0, None, _bring_up, _ready, measured=False),
        Scenario("change", 3, 0, "quorum", _change, _ready, slowest=0.3),
        Scenario("shrink", 3, 0, "quorum", _shrink, _smaller, slowest=0.04),
        Scenario("removal", 1, 1, "bringup", _remove, _gone, slowest=0.04),
        Scenario("single", 1, 0, None, _bring_up, _ready, measured=False),
        Scenario("regret", 1, 0, "single", _change, _gone, later=_regret, measured=False, races=True),
    )
}
