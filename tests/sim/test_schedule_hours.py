"""Schedules over hours of virtual time: every slot once, exactly what is to be kept, nothing left behind.

The shipped program runs under a time of day that the test moves (`clock`): a minute ends when its backup is there,
so the tests take as long as the machine needs for so many backups, and nothing depends on how fast it is.
The moments of kills are drawn with a seed; TALOS_OPERATOR_TEST_SEED replays.
"""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from engine.base.kinds import Key
from engine.base.timestamps import epoch, rfc3339
from tests.sim.clock import VirtualClock
from tests.sim.cluster import API, NAME, Cluster, quickstart, started
from tests.sim.shipped import ROOT, shipped, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

BACKUP, SCHEDULE = "TalosEtcdBackup", "TalosEtcdBackupSchedule"
SLOT = "talos.alperen.cloud/etcd-backup-slot"
SNAPSHOT = "machine.MachineService/EtcdSnapshot"
FOLDER = f"talos-operator-etcd-backups/{NAME}"
SPEC = {"talosControlPlaneRef": {"name": NAME}, "backupStorage": {"directory": {}}}
HOUR_S, MINUTE_S = 3600, 60
BEHIND_S = 20 * HOUR_S
"""The engine's client certificates last for a day of virtual time, and have to outlive the real one."""
SEED = int(os.environ.get("TALOS_OPERATOR_TEST_SEED", "20261128"))
REPLAY = f"TALOS_OPERATOR_TEST_SEED={SEED}"
KEPT = 5
"""The default of `retention`."""


@dataclass
class Run:
    """A cluster under a clock, the store of its backups, and every backup object that was ever seen."""

    cluster: Cluster
    clock: VirtualClock
    store: Path
    arguments: tuple[str, ...] = ()
    seen: dict[str, str] = field(default_factory=dict)
    most: int = 0
    """So many backups, at most, were there at one time that nobody had asked to go."""
    names: list[str] = field(default_factory=list)
    """The schedules that there are."""

    def schedule(self, name: str, schedule: str, **more: Any) -> None:
        """Make a schedule just after a full minute: what it makes at once is done before the next slot is due."""
        self.clock.jump_to(self.next_minute() + 1)
        self.names.append(name)
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
        self.most = max(self.most, sum("deletionTimestamp" not in item["metadata"] for item in found))
        return {item["metadata"]["name"]: item for item in found}

    def is_made(self, name: str, slot: float) -> bool:
        """Whether the backup of a slot is there and Ready."""
        item = self.look().get(f"{name}-{int(slot)}")
        conditions = (item or {}).get("status", {}).get("conditions", ())
        return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)

    def makes(self, name: str, slot: float, how: str = "") -> None:
        what = f"the backup of {rfc3339(slot)} is there {how}"
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

    def seen_slots(self) -> list[float]:
        """The slots of every backup that was ever seen, in order; one that was made twice is there twice."""
        self.look()
        return sorted(_parts(name)[1] for name in self.seen.values())

    def unmade(self) -> list[str]:
        """The backups that are not Ready."""
        return sorted(name for name in self.look() if not self.is_made(*_parts(name)))

    def kill(self) -> None:
        """kill -9 of the engine, at whatever it is."""
        self.cluster.run.kill()

    def start(self) -> None:
        """Start it again."""
        self.cluster.run.start(*self.arguments)
        self.cluster = Cluster(self.cluster.run)

    def end(self, name: str) -> None:
        """The schedule goes, and everything that it made."""
        self.cluster.delete(SCHEDULE, name)
        self.cluster.gone(SCHEDULE, name)
        self.names.remove(name)
        assert sorted(self.look()) == []
        assert self.files() == set()

    def clear(self) -> None:
        """For the next test: whatever a test left that failed goes as well."""
        for name in self.names[:]:
            self.end(name)
        self.seen.clear()
        self.most = 0


def _parts(name: str) -> tuple[str, float]:
    schedule, _, slot = name.rpartition("-")
    return schedule, float(slot)


@pytest.fixture(scope="module")
def cluster_under_a_clock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
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
        yield Run(cluster, clock, store, ("--simulate", "1", *arguments))


@pytest.fixture
def standing(cluster_under_a_clock: Run) -> Iterator[Run]:
    """The same cluster for each test, without what the test before it made."""
    yield cluster_under_a_clock
    cluster_under_a_clock.clear()


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
    assert run.seen_slots() == slots
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


def test_whenever_the_engine_is_killed_each_slot_is_made_once_and_a_long_outage_costs_all_but_the_newest(
    standing: Run,
) -> None:
    run, name, draw = standing, "killed", random.Random(SEED)
    run.schedule(name, "* * * * *", retention=2)
    slots = [run.begin(name)]
    for _ in range(10):
        slots.append(run.next_minute())
        moment = draw.uniform(0, 1.2)
        time.sleep(moment)
        run.kill()
        run.start()
        run.makes(name, slots[-1], f"killed {moment:.2f} s into it; replay with {REPLAY}")
    run.holds(name, slots[-2:])
    run.kill()
    run.clock.jump(3 * HOUR_S)
    slots.append(run.next_minute())
    run.start()
    run.makes(name, slots[-1])
    slots.append(run.next_minute())
    run.makes(name, slots[-1])
    run.holds(name, slots[-2:])
    assert run.seen_slots() == slots
    run.end(name)


def test_a_paused_schedule_makes_nothing_and_then_the_newest_of_what_it_missed(standing: Run) -> None:
    run, name = standing, "paused"
    run.schedule(name, "* * * * *")
    slots = [run.begin(name)]
    run.edit(name, paused=True)
    run.cluster.says(SCHEDULE, name, "Ready", "Paused")
    for _ in range(5):
        slot = run.next_minute()
    until("no next slot is told", lambda: "nextScheduleTime" not in run.status(name))
    assert run.seen_slots() == slots
    run.edit(name, paused=False)
    run.makes(name, slot)
    run.cluster.says(SCHEDULE, name, "Ready", "ScheduleActive")
    assert run.seen_slots() == [*slots, slot]
    run.end(name)


def test_while_a_backup_is_under_way_no_other_begins_and_then_the_newest_slot_is_made(standing: Run) -> None:
    run, name = standing, "slowly"
    run.schedule(name, "* * * * *")
    slots = [run.begin(name)]
    (first,) = run.look().values()
    run.cluster.run.control(op="stream", method=SNAPSHOT, how="slow", rate=first["status"]["size"] / 8)
    slots.append(run.next_minute())
    until("it is under way", lambda: run.status(name).get("activeBackups") == [f"{name}-{int(slots[1])}"])
    for _ in range(3):
        newest = run.next_minute()
    until("the engine has noticed", lambda: epoch(run.status(name)["nextScheduleTime"]) > newest)
    assert run.unmade() == [f"{name}-{int(slots[1])}"]
    run.makes(name, newest)
    assert run.seen_slots() == [*slots, newest]
    until("nothing is under way", lambda: not run.status(name).get("activeBackups"))
    run.end(name)


def test_a_schedule_that_cannot_be_read_says_so_until_it_is_mended(standing: Run) -> None:
    run, name = standing, "mistaken"
    run.schedule(name, "* * * * *")
    slots = [run.begin(name)]
    run.edit(name, schedule="61 * * * *")
    said = run.cluster.says(SCHEDULE, name, "Failed", "InvalidSchedule")
    assert "minute: '61' is not between 0 and 59" in said["message"]
    assert run.cluster.condition(SCHEDULE, name, "Ready")["status"] == "False"
    slot = run.next_minute()
    assert run.seen_slots() == slots
    run.edit(name, schedule="*/1 * * * *")
    run.makes(name, slot)
    assert run.cluster.says(SCHEDULE, name, "Failed", "ScheduleActive")["status"] == "False"
    assert run.cluster.condition(SCHEDULE, name, "Ready")["status"] == "True"
    run.end(name)


@pytest.mark.parametrize(("zone", "minute"), [("CRON_TZ=Asia/Kolkata", 30), ("TZ=Asia/Kathmandu", 15)])
def test_a_schedule_with_a_time_zone_goes_by_the_clocks_there(standing: Run, zone: str, minute: int) -> None:
    run, name = standing, "there"
    run.schedule(name, f"{zone} 0 * * * *")
    slots = [run.begin(name)]
    for _ in range(2):
        slot = epoch(until("a next slot", lambda: run.status(name).get("nextScheduleTime")))
        assert slot % HOUR_S == minute * MINUTE_S
        assert slot not in slots
        run.clock.jump_to(slot)
        run.makes(name, slot)
        slots.append(slot)
        until("the status tells of it", lambda: run.status(name)["lastScheduleTime"] == rfc3339(slots[-1]))
    run.end(name)


BERLIN = ZoneInfo("Europe/Berlin")


def last_change(*, forward: bool) -> float:
    """When clocks in Berlin were last put forward, or back; seconds since 1970."""
    hour = time.time() // HOUR_S * HOUR_S
    while True:
        earlier, later = (datetime.fromtimestamp(each, BERLIN).utcoffset() for each in (hour - 1, hour))
        assert earlier is not None
        assert later is not None
        if earlier != later and (later > earlier) is forward:
            return hour
        hour -= HOUR_S


@pytest.mark.parametrize("forward", [True, False])
def test_in_the_night_in_which_clocks_change_no_slot_is_missed_and_none_is_made_up(
    tmp_path: Path, *, forward: bool
) -> None:
    change = last_change(forward=forward)
    began = change - 30 * HOUR_S
    clock = VirtualClock(tmp_path / "clock", behind_s=time.time() - began)
    (tmp_path / "backups").mkdir()
    with shipped(tmp_path / "run", clock.environment) as program:
        program.start("--backup-directory", str(tmp_path / "backups"))
        run = Run(Cluster(program), clock, tmp_path / "backups")
        run.schedule("night", "CRON_TZ=Europe/Berlin */30 2 * * *")
        slot = began
        while slot < change + 30 * HOUR_S:
            # There is no control plane, so no backup is ever complete: a person takes each away, and the next is made.
            (made,) = until(f"the backup of {rfc3339(slot)} is there", run.look)
            told = rfc3339(_parts(made)[1])
            until(
                "its slot is written down",
                lambda told=told: run.status("night").get("lastScheduleTime") == told,
            )
            run.cluster.delete(BACKUP, made)
            run.cluster.gone(BACKUP, made)
            slot = epoch(run.status("night")["nextScheduleTime"])
            clock.jump_to(slot)
        found = [each for each in run.seen_slots()[1:] if each < change + 30 * HOUR_S]
    usual = ["02:00", "02:30"]
    shown = [datetime.fromtimestamp(each, BERLIN).strftime("%H:%M") for each in found]
    assert shown == (usual * 2 if forward else usual * 4)
    every = [change + 1800 * index for index in range(-59, 60)]
    assert found == [each for each in every if datetime.fromtimestamp(each, BERLIN).hour == 2]
