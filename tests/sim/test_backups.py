"""Backups from end to end: a simulated cluster's etcd, the shipped rules, files in a directory."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.base.kinds import Key
from tests.sim.cluster import API, MODE, NAME, Cluster, quickstart, started
from tests.sim.shipped import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

SNAPSHOT = "machine.MachineService/EtcdSnapshot"
FOLDER = f"talos-operator-etcd-backups/{NAME}"


@pytest.fixture(scope="module")
def backups(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory that backups go to."""
    return tmp_path_factory.mktemp("backups")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, backups: Path) -> Iterator[Cluster]:
    """One control plane machine, Ready."""
    folder = tmp_path_factory.mktemp("backup-run") / "run"
    with started(folder, "--backup-directory", str(backups), machines=1) as found:
        found.run.control(op="speed", factor=5)
        found.apply(quickstart(1, 0))
        found.ready()
        yield found


def manifest(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": API, "kind": kind, "metadata": {"name": name, "namespace": "default"}, "spec": spec}


BACKUP = {"talosControlPlaneRef": {"name": NAME}, "backupStorage": {"directory": {}}}


def files(backups: Path, pattern: str = "*") -> set[str]:
    """The files that are published, by name."""
    return {path.name for path in (backups / FOLDER).glob(pattern) if not path.name.startswith(".")}


def not_true(cluster: Cluster, name: str) -> set[str]:
    """The types of the conditions of a backup that are False."""
    conditions = cluster.get("TalosEtcdBackup", name)["status"]["conditions"]
    return {each["type"] for each in conditions if each["status"] == "False"}


def test_a_backup_is_a_whole_snapshot_with_the_keys_beside_it_and_goes_with_its_object(
    cluster: Cluster, backups: Path
) -> None:
    cluster.apply(manifest("TalosEtcdBackup", "one", BACKUP))
    cluster.ready("TalosEtcdBackup", "one")
    status = cluster.get("TalosEtcdBackup", "one")["status"]
    snapshot = (backups / status["filename"]).read_bytes()
    assert len(snapshot) == status["size"]
    assert hashlib.sha256(snapshot).hexdigest() == status["sha256"]
    assert hashlib.sha256(snapshot[:-32]).digest() == snapshot[-32:]
    assert "secretBundle" in (backups / status["stateFilename"]).read_text()
    assert (
        'talos_operator_etcd_backup_total{namespace="default",name="one",status="success"} 1'
        in cluster.metrics()
    )
    size = r'(?m)^talos_operator_etcd_backup_size_bytes\{namespace="default",name="one"\} (.+)$'
    told = until("its size is told", lambda: re.search(size, cluster.metrics()))
    assert float(told[1]) == len(snapshot)
    cluster.delete("TalosEtcdBackup", "one")
    cluster.gone("TalosEtcdBackup", "one")
    assert files(backups) == set()
    until("its series are gone", lambda: 'name="one"' not in cluster.metrics())


def test_two_backups_of_one_second_have_files_of_their_own_and_one_outlives_the_other(
    cluster: Cluster, backups: Path
) -> None:
    names = ("first", "second")
    time.sleep(1 - time.time() % 1)  # both are made in the second that begins now
    for name in names:
        cluster.apply(manifest("TalosEtcdBackup", name, BACKUP))
    for name in names:
        cluster.ready("TalosEtcdBackup", name)
    made = [cluster.get("TalosEtcdBackup", name) for name in names]
    assert len({each["metadata"]["creationTimestamp"] for each in made}) == 1
    cluster.delete("TalosEtcdBackup", "first")
    cluster.gone("TalosEtcdBackup", "first")
    status = made[1]["status"]
    assert hashlib.sha256((backups / status["filename"]).read_bytes()).hexdigest() == status["sha256"]
    assert "secretBundle" in (backups / status["stateFilename"]).read_text()
    cluster.delete("TalosEtcdBackup", "second")
    cluster.gone("TalosEtcdBackup", "second")
    assert files(backups) == set()


@pytest.mark.parametrize("how", ["corrupt", "end"])
def test_a_snapshot_that_is_cut_or_damaged_is_never_published_and_is_tried_again(
    cluster: Cluster, backups: Path, how: str
) -> None:
    cluster.run.control(op="stream", method=SNAPSHOT, how=how, bytes=5000)
    before = len(cluster.calls(SNAPSHOT, ok=False))
    cluster.apply(manifest("TalosEtcdBackup", f"bad-{how}", BACKUP))
    failed = cluster.says("TalosEtcdBackup", f"bad-{how}", "Failed", "BackupFailed")
    assert failed["status"] == "True"
    told = [item for item in cluster.events() if item["regarding"]["name"] == f"bad-{how}"]
    assert [(item["type"], item["reason"]) for item in told] == [("Warning", "BackupFailed")]
    assert files(backups, "*.db") == set()
    cluster.ready("TalosEtcdBackup", f"bad-{how}", deadline_s=60)
    until(
        "nothing is under way, and nothing has failed",
        lambda: {"Progressing", "Failed"} == not_true(cluster, f"bad-{how}"),
    )
    assert len(cluster.calls(SNAPSHOT, ok=False)) == before + 2
    assert len(files(backups, "*.db")) == 1
    cluster.delete("TalosEtcdBackup", f"bad-{how}")
    cluster.gone("TalosEtcdBackup", f"bad-{how}")


def test_a_schedule_keeps_the_newest_of_what_it_makes(cluster: Cluster, backups: Path) -> None:
    spec = {"schedule": "@every 2s", "retention": 2, "backupTemplate": {"spec": BACKUP}}
    cluster.apply(manifest("TalosEtcdBackupSchedule", "often", spec))
    seen: set[str] = set()

    def made() -> bool:
        seen.update(files(backups, "*.db"))
        return len(seen) >= 5

    until("five were made", made)
    key = Key(cluster.client.kind_named(API, "TalosEtcdBackupSchedule"), "default", "often")
    cluster.client.patch(key, {"spec": {"paused": True}})
    until("the newest two are kept", lambda: len(cluster.names("TalosEtcdBackup")) <= 3)
    status = cluster.get("TalosEtcdBackupSchedule", "often")["status"]
    assert status["lastSuccessfulBackupTime"] >= status["lastScheduleTime"][:10]
    cluster.delete("TalosEtcdBackupSchedule", "often")
    cluster.gone("TalosEtcdBackupSchedule", "often")
    assert files(backups) == set()


def test_a_dry_run_of_a_schedule_and_a_backup_tells_what_would_be_made_and_stores_nothing(
    cluster: Cluster, backups: Path
) -> None:
    asked = len(cluster.calls(SNAPSHOT, ok=False))
    spec = {"schedule": "@every 1h", "backupTemplate": {"spec": BACKUP}}
    for kind, name, wanted in (
        ("TalosEtcdBackupSchedule", "trial", spec),
        ("TalosEtcdBackup", "trial", BACKUP),
    ):
        document = manifest(kind, name, wanted)
        document["metadata"]["annotations"] = {MODE: "DryRun"}
        cluster.apply(document)

        def told(kind: str = kind) -> bool:
            events = (event for event in cluster.events() if event["regarding"]["kind"] == kind)
            return any(
                event["reason"] == "DryRun" for event in events if event["regarding"]["name"] == "trial"
            )

        until("an event tells of it", told)
    assert cluster.names("TalosEtcdBackup") == {"trial"}
    assert "status" not in cluster.get("TalosEtcdBackup", "trial")
    assert files(backups) == set()
    assert len(cluster.calls(SNAPSHOT, ok=False)) == asked
    cluster.annotate("TalosEtcdBackup", "trial", MODE, None)
    cluster.ready("TalosEtcdBackup", "trial")
    for kind in ("TalosEtcdBackupSchedule", "TalosEtcdBackup"):
        cluster.delete(kind, "trial")
        cluster.gone(kind, "trial")
    assert files(backups) == set()


def bucket(secret: str) -> dict[str, Any]:
    """A bucket on an address where nobody listens, with credentials from this Secret."""
    keys = {name: {"name": secret, "key": name} for name in ("accessKeyID", "secretAccessKey")}
    s3 = {"bucket": "backups", "region": "eu-central-1", "endpoint": "https://127.0.0.1:1", **keys}
    return {**BACKUP, "backupStorage": {"s3": s3}}


def test_a_backup_that_cannot_begin_says_what_it_lacks_and_is_made_once_it_has_it(
    cluster: Cluster, backups: Path
) -> None:
    kind = "TalosEtcdBackup"
    secrets = cluster.client.kind_named("v1", "Secret")
    namespaces = cluster.client.kind_named("v1", "Namespace")
    cluster.client.create(
        namespaces, "", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "other"}}
    )
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "elsewhere"},
        "stringData": {"accessKeyID": "AKIDOFSOMEBODY", "secretAccessKey": "thesecretofsomebody"},
    }
    cluster.client.create(secrets, "other", body)
    cluster.apply(manifest(kind, "lacking", bucket("elsewhere")))
    cluster.apply(manifest(kind, "nowhere", {**BACKUP, "talosControlPlaneRef": {"name": "nobody"}}))
    said = cluster.says(kind, "lacking", "Failed", "BackupFailed")
    assert (said["status"], said["message"]) == (
        "True",
        "s3.accessKeyID: there is no Secret elsewhere in namespace default; create it",
    )
    assert cluster.condition(kind, "lacking", "Ready")["status"] == "Unknown"
    assert cluster.condition(kind, "lacking", "Progressing")["status"] == "False"
    assert cluster.says(kind, "nowhere", "Failed", "BackupFailed")["message"] == "no TalosControlPlane nobody"
    cluster.client.create(secrets, "default", body)
    until(
        "it gets as far as the store",
        lambda: "cannot be reached" in cluster.condition(kind, "lacking", "Failed")["message"],
    )
    assert "thesecretofsomebody" not in cluster.run.output.read_text()
    key = Key(cluster.client.kind_named(API, kind), "default", "lacking")
    cluster.client.patch(key, {"spec": {"backupStorage": {"s3": None, "directory": {}}}})
    cluster.ready(kind, "lacking")
    until("it has not failed", lambda: "Failed" in not_true(cluster, "lacking"))
    for name in ("lacking", "nowhere"):
        cluster.delete(kind, name)
        cluster.gone(kind, name)
    assert files(backups) == set()


def test_the_metrics_of_a_schedule_tell_of_its_backups_and_go_with_it(cluster: Cluster) -> None:
    spec = {"schedule": "@every 1h", "backupTemplate": {"spec": BACKUP}}
    cluster.apply(manifest("TalosEtcdBackupSchedule", "told", spec))
    named = 'namespace="default",name="told"'
    prefix = "talos_operator_etcd_backup_"
    wanted = [
        f'{prefix}total{{{named},status="success"}} 1',
        f'{prefix}total{{{named},status="failed"}} 0',
        f"{prefix}duration_seconds_count{{{named}}} 1",
        f"{prefix}size_bytes{{{named}}} ",
        f"{prefix}last_success_timestamp_seconds{{{named}}} 1",
        f"{prefix}next_schedule_timestamp_seconds{{{named}}} 1",
        f'talos_operator_resource_status{{resource_type="talosetcdbackupschedule",{named},status="Ready"}} 1',
    ]
    for sample in wanted:
        until(f"it is told: {sample}", lambda sample=sample: sample in cluster.metrics())
    text = cluster.metrics()
    for kind in ("talosetcdbackup", "talosetcdbackupschedule"):
        assert f'talos_operator_resource_total{{resource_type="{kind}",namespace="default"}} 1' in text
    cluster.delete("TalosEtcdBackupSchedule", "told")
    cluster.gone("TalosEtcdBackupSchedule", "told")
    until("its series are gone", lambda: 'name="told' not in cluster.metrics())
