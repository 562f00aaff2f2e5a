"""What the user of a trial wants, and when he has it.

Each act names the objects that it makes and tells why it is not done yet, from the objects alone. Neighbours: `trial` runs
them, `world` carries out.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.crash.record import Object
from tests.cuts.world import BackupWorld, next_second

BACKUP, SCHEDULE = "TalosEtcdBackup", "TalosEtcdBackupSchedule"
YEARLY = "0 0 1 1 *"
_LABEL = "talos.alperen.cloud/etcd-backup-schedule"
_MADE = 3
"""So many backups of a schedule have to have been there before it is slowed down."""


@dataclass(frozen=True)
class Act:
    """`begin` before the engine runs; `later` while it does, asked until it is True; then `done` says what is missing, or ""."""

    name: str
    begin: Callable[[BackupWorld], None]
    later: Callable[[BackupWorld, Sequence[Object], set[str]], bool]
    done: Callable[[Sequence[Object]], str]


def _one(world: BackupWorld) -> None:
    world.apply(world.backup("one"))


def _pair(world: BackupWorld) -> None:
    next_second()
    world.apply(world.backup("one"))
    world.apply(world.backup("two"))


def _beside(world: BackupWorld) -> None:
    next_second()
    world.apply(world.schedule(YEARLY, 2))
    world.apply(world.backup("one"))


def _often(world: BackupWorld) -> None:
    world.apply(world.schedule("@every 1s", 1))


def _at_once(world: BackupWorld, objects: Sequence[Object], seen: set[str]) -> bool:
    return True


def _slowed(world: BackupWorld, objects: Sequence[Object], seen: set[str]) -> bool:
    """After a few backups, let there be no more of them, and keep as many as before."""
    if len(seen) < _MADE:
        return False
    slow = copy.deepcopy(world.schedule(YEARLY, 1))
    world.apply(slow)
    return True


def _deleted(world: BackupWorld, objects: Sequence[Object], seen: set[str]) -> bool:
    """Delete the backup once it is Ready, if nobody has done so."""
    (found,) = [each for each in objects if each["kind"] == BACKUP] or [None]
    if found is not None and not is_ready(found) and not is_leaving(found):
        return False
    if found is not None and not is_leaving(found):
        world.delete(found)
    return True


def _two_split(world: BackupWorld, objects: Sequence[Object], seen: set[str]) -> bool:
    """Delete one of two once both are Ready: the other one has to stay whole."""
    found = {each["metadata"]["name"]: each for each in objects if each["kind"] == BACKUP}
    if "one" in found and not all(map(is_ready, found.values())):
        return False
    if "one" in found and not is_leaving(found["one"]):
        world.delete(found["one"])
    return True


def _ready(objects: Sequence[Object]) -> str:
    ours = [each for each in objects if each["kind"] in (BACKUP, SCHEDULE)]
    for each in ours:
        if is_leaving(each):
            return f"{_name(each)} is leaving"
        if not is_ready(each):
            return f"{_name(each)} is not Ready: {_condition(each, 'Ready').get('message')}"
        if is_true(each, "Failed"):
            return f"{_name(each)} is Ready and Failed"
        observed = (each.get("status") or {}).get("observedGeneration")
        if observed != each["metadata"]["generation"]:
            return f"{_name(each)}: its last change was not looked at yet"
    return "" if any(each["kind"] == BACKUP for each in ours) else "no backup is there"


def _scheduled(objects: Sequence[Object]) -> str:
    good = [each for each in objects if each["kind"] == BACKUP and _of_schedule(each)]
    (schedule,) = [each for each in objects if each["kind"] == SCHEDULE] or [None]
    if schedule is None:
        return "no schedule is there"
    if len(good) > schedule["spec"]["retention"]:
        return f"{len(good)} backups are kept"
    if (schedule.get("status") or {}).get("activeBackups"):
        return "the schedule tells of active backups"
    return _ready(objects)


def _without_one(objects: Sequence[Object]) -> str:
    if any(each["metadata"]["name"] == "one" for each in objects if each["kind"] == BACKUP):
        return "the deleted backup is still there"
    return _ready(objects)


def _gone(objects: Sequence[Object]) -> str:
    left = [each for each in objects if each["kind"] == BACKUP]
    return f"{', '.join(map(_name, left))} left" if left else ""


def _of_schedule(given: Object) -> bool:
    return _LABEL in (given["metadata"].get("labels") or {})


def is_leaving(given: Object) -> bool:
    """Whether somebody has asked for its end."""
    return bool(given["metadata"].get("deletionTimestamp"))


def is_true(given: Object, sort: str) -> bool:
    """Whether a condition is True."""
    return _condition(given, sort).get("status") == "True"


def is_ready(given: Object) -> bool:
    """Whether it says so itself."""
    return is_true(given, "Ready")


def _condition(given: Object, sort: str) -> dict[str, Any]:
    conditions = (given.get("status") or {}).get("conditions") or ()
    return next((each for each in conditions if each["type"] == sort), {})


def _name(given: Object) -> str:
    return f"{given['kind']} {given['metadata']['name']}"


ACTS = {
    each.name: each
    for each in (
        Act("one", _one, _at_once, _ready),
        Act("pair", _pair, _two_split, _without_one),
        Act("beside", _beside, _two_split, _without_one),
        Act("often", _often, _slowed, _scheduled),
        Act("gone", _one, _deleted, _gone),
    )
}
