"""The way back from each backup that a trial left: its machine loses etcd, and answers again with what the backup holds.

Neighbours: `trial` asks for it, `tests/sim/test_restore.py` looks at restores themselves.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence

from engine.base.kinds import Key
from engine.machineconfig.identity import read_credentials
from engine.ports.kube.client import KubeClient
from tests.crash.record import Object
from tests.crash.scenarios import API
from tests.crash.world import until
from tests.cuts.acts import BACKUP, is_ready
from tests.cuts.world import CONTROL_PLANE, BackupWorld
from tests.unit.simulator.simulator_client import Client

_RESET = {
    "graceful": False,
    "reboot": True,
    "system_partitions_to_wipe": [{"label": "EPHEMERAL", "wipe": True}],
}
WITHIN_S = 60.0


def restore_each(world: BackupWorld, objects: Sequence[Object]) -> tuple[int, list[str]]:
    """Lose etcd and restore a complete backup, for each that there is: how many, and what was not there afterwards."""
    good = [each for each in objects if each["kind"] == BACKUP and is_ready(each)]
    failures: list[str] = []
    kube = KubeClient.connect(world.folder / "api" / "kubeconfig", pool_size=1)
    try:
        for attempt, backup in enumerate(sorted(good, key=lambda each: str(each["metadata"]["name"])), 1):
            failures += _restored(world, objects, kube, backup, attempt)
    finally:
        kube.close()
    return len(good), failures


def _restored(
    world: BackupWorld, objects: Sequence[Object], kube: KubeClient, backup: Object, attempt: int
) -> list[str]:
    name, machine = backup["metadata"]["name"], f"{world.prefix}.1"
    world.order("machines", op="put", machine=machine, key="/colour", value="red")
    with _client(world, objects, machine) as talos:
        talos.call("machine.MachineService/Reset", _RESET)
    until("etcd is empty", lambda: _services(world).get("etcd") == "Preparing", WITHIN_S)
    wish = {"snapshot": backup["status"]["sha256"], "backupRef": {"name": name}, "attempt": attempt}
    kind = kube.kind_named(API, "TalosControlPlane")
    kube.patch(Key(kind, "default", CONTROL_PLANE), {"spec": {"restore": wish}})

    def is_saved() -> bool:
        # An order may have been waiting for a call that only a restore makes: the next engine goes on.
        if world.engine is None or world.engine.poll() is not None:
            world.run_engine(None)
        return _keys(world) == {"/colour": "blue"}

    try:
        until("the members answer with what was saved", is_saved, WITHIN_S)
    except AssertionError as error:
        return [f"restore of {name}: {error}; etcd has {_keys(world)}"]
    return []


def _client(world: BackupWorld, objects: Sequence[Object], machine: str) -> Client:
    (secret,) = [
        each for each in objects
        if each["kind"] == "Secret" and each["metadata"]["name"] == f"{CONTROL_PLANE}-talosconfig"
    ]  # fmt: skip
    text = base64.b64decode(secret["data"][f"{CONTROL_PLANE}.talosconfig"]).decode()
    found = read_credentials(text)
    return Client(machine, found.ca, found.client)


def _services(world: BackupWorld) -> dict[str, str]:
    return dict(world.machines()[0]["services"])


def _keys(world: BackupWorld) -> dict[str, str] | None:
    found = world.machines()[0]["etcd"]
    return None if found is None else dict(found["keys"])
