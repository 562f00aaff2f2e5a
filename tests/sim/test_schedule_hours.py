"""Schedules over hours of virtual time: every slot once, exactly what is to be kept, nothing left behind.

The shipped program runs under a time of day that the test moves (`clock`): a minute ends when its backup is there,
so the tests take as long as the machine needs for so many backups, and nothing depends on how fast it is.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from engine.base.kinds import Key
from engine.base.timestamps import epoch, rfc3339
from tests.sim.clock import VirtualClock
from tests.sim.cluster import API, NAME, Cluster, quickstart, started
from tests.sim.shipped import ROOT, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

BACKUP, SCHEDULE = "TalosEtcdBackup", "TalosEtcdBackupSchedule"
SLOT = "talos.alperen.cloud/etcd-backup-slot"
SNAPSHOT = "machine.MachineService/EtcdSnapshot"
FOLDER = f"talos-operator-etcd-backups/{NAME}"
SPEC = {"talosControlPlaneRef": {"name": NAME}, "backupStorage": {"directory": {}}}
HOUR_S, MINUTE_S = 3600, 60
BEHIND_S = 15 * HOUR_S
"""The engine's client certificates last for a day of virtual time, and have to outlive the real one."""
KEPT = 5
"""The default of `retention`."""


@dataclass
class Run:
    """A cluster under a clock, the store of its backups, and every backup object that was ever seen."""

    cluster: Cluster
    clock: VirtualClock
    store: Path
    seen: dict[str, str] = field(default_factory=dict)
    most: int = 0

    def schedule(self, name: str, schedule: str, **more: Any) -> None:
        spec = {"schedule": schedule, "backupTemplate": {"spec": SPEC}, **more}
        metadata = {"name": name, "namespace": "default"}
        self.cluster.apply({"apiVersion": API, "kind": SCHEDULE, "metadata": metadata, "spec": spec})

    def edit(self, name: str, **spec: Any) -> None:
        key = Key(self.cluster.client.kind_named(API, SCHEDULE), "default", name)
        self.cluster.client.patch(key, {"spec": spec})

    def look(self) -> dict[str, dict[str, Any]]:
        """The backups that there are, by name."""
        found = self.cluster.run.all_of(self.cluster.client, BACKUP)
        self.seen.update({item["metadata"]["uid"]: item["metadata"]["name"] for item in found})
        self.most = max(self.most, len(found))
        return {item["metadata"]["name"]: item for item in found}

    def is_made(self, name: str, slot: float) -> bool:
        """Whether the backup of a slot is there and Ready."""
        item = self.look().get(f"{name}-{int(slot)}")
        conditions = (item or {}).get("status", {}).get("conditions", ())
        return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)

    def makes(self, name: str, slot: float) -> None:
        what = f"the backup of {rfc3339(slot)} is there"
        try:
            until(what, lambda: self.is_made(name, slot), deadline_s=60)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.look()}\n{self.cluster.run.log()}") from None

    def begin(self, name: str) -> float:
        """Wait for the backup that is made at once; its slot."""
        slot = epoch(self.cluster.get(SCHEDULE, name)["metadata"]["creationTimestamp"])
        self.makes(name, slot)
        return slot

    def next_minute(self) -> float:
        """Move on to the next full minute."""
        slot = (self.clock.now() // MINUTE_S + 1) * MINUTE_S
        self.clock.jump_to(slot)
        return slot

    def status(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.cluster.get(SCHEDULE, name).get("status") or {}
        return found

    def files(self) -> set[str]:
        """Everything below the store, hidden files as well."""
        return {path.name for path in (self.store / FOLDER).iterdir()}

    def holds(self, name: str, slots: list[float]) -> None:
        """Wait until exactly the backups of these slots are left, in the API and in the store."""
        names = {f"{name}-{int(slot)}" for slot in slots}
        until(f"{sorted(names)} are left", lambda: set(self.look()) == names)
        wanted = set()
        for item in self.look().values():
            for file in (item["status"]["filename"], item["status"]["stateFilename"]):
                wanted |= {Path(file).name, f"{Path(file).name}.sha256"}
        assert self.files() == wanted

    def end(self, name: str) -> None:
        """The schedule goes, and everything that it made."""
        self.cluster.delete(SCHEDULE, name)
        self.cluster.gone(SCHEDULE, name)
        assert self.look() == {}
        assert self.files() == set()
        self.seen.clear()
        self.most = 0


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """One control plane machine, Ready, under a clock that is hours behind."""
    folder = tmp_path_factory.mktemp("hours")
    store = folder / "backups"
    store.mkdir()
    clock = VirtualClock(folder / "clock", behind_s=BEHIND_S)
    arguments = ("--backup-directory", str(store))
    with started(folder / "run", *arguments, machines=1, environment=clock.environment) as cluster:
        cluster.run.control(op="speed", factor=5)
        cluster.apply(quickstart(1, 0))
        cluster.ready()
        yield Run(cluster, clock, store)


def test_ten_hours_of_a_schedule_of_every_minute_make_each_slot_once_and_keep_what_is_to_be_kept(
    standing: Run,
) -> None:
    run, name = standing, "minutely"
    run.schedule(name, "* * * * *")
    slots = [run.begin(name)]
    for _ in range(10 * 60):
        slots.append(run.next_minute())
        run.makes(name, slots[-1])
    run.holds(name, slots[-KEPT:])
    assert slots[-1] - slots[1] >= 10 * HOUR_S - MINUTE_S
    assert sorted(run.seen.values()) == sorted(f"{name}-{int(slot)}" for slot in slots)
    assert run.most <= KEPT + 2
    assert len(run.cluster.calls(SNAPSHOT, ok=False)) == len(slots)
    status = run.status(name)
    assert status["lastScheduleTime"] == rfc3339(slots[-1])
    assert epoch(status["nextScheduleTime"]) == slots[-1] + MINUTE_S
    assert status["lastSuccessfulBackupTime"] >= status["lastScheduleTime"]
    labels = f'{{namespace="default",name="{name}",status='
    for ended, count in (("success", len(slots)), ("failed", 0)):
        sample = f'talos_operator_etcd_backup_total{labels}"{ended}"}} {count}'
        until(f"it is told: {sample}", lambda sample=sample: sample in run.cluster.metrics())
    command = [sys.executable, "-m", "engine", "backup", "list", "--directory", str(run.store), "--verify"]
    verified = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
    assert verified.returncode == 0, verified.stdout
    assert len(re.findall(r"\bwhole\b", verified.stdout)) == KEPT
    run.end(name)
