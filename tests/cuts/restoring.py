"""The way back from a backup that a trial left: its machine loses etcd, and answers again with what the backup holds.

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
_WITHIN_S = 60.0


def restored(world: BackupWorld, objects: Sequence[Object]) -> list[str]:
    """Lose etcd, restore the newest complete backup, and say what of it is not there afterwards."""
    good = [each for each in objects if each["kind"] == BACKUP and is_ready(each)]
    if not good:
        return []
    newest = max(good, key=lambda each: each["metadata"]["creationTimestamp"])
    machine = f"{world.prefix}.1"
    world.order("machines", op="put", machine=machine, key="/colour", value="red")
    with _client(world, objects, machine) as talos:
        talos.call("machine.MachineService/Reset", _RESET)
    until("etcd is empty", lambda: _services(world).get("etcd") == "Preparing", _WITHIN_S)
    wish = {"snapshot": newest["status"]["sha256"], "backupRef": {"name": newest["metadata"]["name"]}}
    kube = KubeClient.connect(world.folder / "api" / "kubeconfig", pool_size=1)
    try:
        kind = kube.kind_named(API, "TalosControlPlane")
        kube.patch(Key(kind, "default", CONTROL_PLANE), {"spec": {"restore": wish}})
    finally:
        kube.close()
    try:
        until(
            "the members answer with what was saved", lambda: _keys(world) == {"/colour": "blue"}, _WITHIN_S
        )
    except AssertionError as error:
        return [f"restore: {error}; etcd has {_keys(world)}"]
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
