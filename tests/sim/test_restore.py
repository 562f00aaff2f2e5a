"""A cluster that lost all its etcd is restored from a snapshot, by rules and by the command, with one order to begin."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.base.kinds import Key
from engine.ports.stores.directory import DirectoryStore
from tests.sim.cluster import BOOTSTRAP, NAME, RESET, Cluster, quickstart, started
from tests.sim.shipped import API, ROOT, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

RECOVER = "machine.MachineService/EtcdRecover"
SNAPSHOT = "machine.MachineService/EtcdSnapshot"
EPHEMERAL = {
    "graceful": False,
    "reboot": True,
    "system_partitions_to_wipe": [{"label": "EPHEMERAL", "wipe": True}],
}
KIND = "TalosControlPlane"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Three control plane machines, Ready, with a key in etcd."""
    with started(tmp_path / "run", machines=3) as made:
        made.apply(quickstart(3, 0))
        made.ready(KIND)
        made.run.control(op="put", machine="127.0.1.1", key="/colour", value="blue")
        yield made


def take_snapshot(cluster: Cluster, path: Path) -> str:
    """Save a snapshot of etcd; its digest."""
    with cluster.machine_api("127.0.1.2") as machine:
        whole = b"".join(message.bytes for message in machine.stream(SNAPSHOT))
    path.write_bytes(whole)
    return hashlib.sha256(whole).hexdigest()


def lose_etcd(cluster: Cluster, *addresses: str) -> None:
    for address in addresses:
        with cluster.machine_api(address) as machine:
            machine.call(RESET, EPHEMERAL)
    until(
        "these etcds are empty",
        lambda: all(cluster.run.machines()[at]["services"].get("etcd") == "Preparing" for at in addresses),
    )


def keys(cluster: Cluster) -> list[dict[str, str]]:
    """What each member that there is holds."""
    found = [entry["etcd"] for entry in cluster.run.machines().values()]
    return [entry["keys"] for entry in found if entry is not None]


def all_have(cluster: Cluster, wanted: dict[str, str]) -> None:
    until(
        "all members answer with the snapshot's state", lambda: keys(cluster) == [wanted] * 3, deadline_s=60
    )
    cluster.ready(KIND)


def ask_for(cluster: Cluster, **restore: Any) -> None:
    target = Key(cluster.client.kind_named(API, KIND), "default", NAME)
    cluster.client.patch(target, {"spec": {"restore": restore}})


ALL = ("127.0.1.1", "127.0.1.2", "127.0.1.3")


def test_a_wiped_cluster_comes_back_from_a_file_that_the_engine_reads(
    cluster: Cluster, tmp_path: Path
) -> None:
    path = tmp_path / "etcd.db"
    digest = take_snapshot(cluster, path)
    cluster.run.control(op="put", machine="127.0.1.1", key="/colour", value="red")
    lose_etcd(cluster, *ALL)
    ask_for(cluster, snapshot=digest, file=str(path))
    all_have(cluster, {"/colour": "blue"})
    cluster.says(KIND, NAME, "Restored", "Restored")
    assert len(cluster.calls(BOOTSTRAP, ok=False)) == 2  # the first one made the cluster
    assert len(cluster.calls(RECOVER, ok=False)) == 1
    lose_etcd(cluster, *ALL)
    until(
        "the engine has looked", lambda: cluster.condition(KIND, NAME, "EtcdHealthy").get("status") == "False"
    )
    assert len(cluster.calls(BOOTSTRAP, ok=False)) == 2


def test_a_wiped_cluster_comes_back_from_a_stored_backup(tmp_path: Path) -> None:
    backups = tmp_path / "backups"
    backups.mkdir()
    with started(tmp_path / "run", "--backup-directory", str(backups), machines=3) as cluster:
        cluster.apply(quickstart(3, 0))
        cluster.ready(KIND)
        cluster.run.control(op="put", machine="127.0.1.1", key="/colour", value="blue")
        digest = take_snapshot(cluster, tmp_path / "etcd.db")
        key = f"{NAME}/etcd-snapshot.db"
        DirectoryStore(backups).put(key, (tmp_path / "etcd.db").read_bytes())
        lose_etcd(cluster, *ALL)
        ask_for(cluster, snapshot=digest, backupRef={"name": "nightly"})
        cluster.says(KIND, NAME, "Restored", "BackupNotFound")
        spec = {"talosControlPlaneRef": {"name": NAME}, "backupStorage": {"directory": {}}}
        kind = cluster.client.kind_named(API, "TalosEtcdBackup")
        body = {"apiVersion": API, "kind": kind.name, "metadata": {"name": "nightly"}, "spec": spec}
        cluster.client.create(kind, "default", body)
        cluster.client.patch_status(Key(kind, "default", "nightly"), {"status": {"filename": key}})
        all_have(cluster, {"/colour": "blue"})
        assert len(cluster.calls(BOOTSTRAP, ok=False)) == 2
        cluster.run.control(op="put", machine="127.0.1.1", key="/colour", value="red")
        lose_etcd(cluster, *ALL)
        arguments = (
            "restore",
            NAME,
            "--backup",
            "nightly",
            "--backup-directory",
            str(backups),
            "--attempt",
            "2",
        )
        done = operator(cluster, *arguments, "--yes")
        assert done.returncode == 0, done.stderr
        all_have(cluster, {"/colour": "blue"})
        assert len(cluster.calls(BOOTSTRAP, ok=False)) == 3


def test_a_cluster_that_is_declared_anew_with_a_restore_never_begins_empty(
    cluster: Cluster, tmp_path: Path
) -> None:
    path = tmp_path / "etcd.db"
    digest = take_snapshot(cluster, path)
    cluster.delete("TalosCluster", NAME)
    cluster.gone("TalosCluster", NAME, deadline_s=90)
    document = quickstart(3, 0)
    document["spec"]["controlPlane"]["restore"] = {"snapshot": digest, "file": str(path)}
    cluster.apply(document)
    all_have(cluster, {"/colour": "blue"})
    assert len(cluster.calls(BOOTSTRAP, ok=False)) == 2
    assert len(cluster.calls(RECOVER, ok=False)) == 1
    cluster.ready()


def operator(cluster: Cluster, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "engine",
        *arguments,
        "--kubeconfig",
        str(cluster.run.folder / "kubeconfig"),
    ]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120, check=False)


def test_a_person_restores_a_cluster_with_the_command_and_may_call_it_again(
    cluster: Cluster, tmp_path: Path
) -> None:
    path = tmp_path / "etcd.db"
    digest = take_snapshot(cluster, path)
    refused = operator(cluster, "restore", NAME, "--from", str(path), "--yes")
    assert refused.returncode == 1
    assert "a quorum of etcd lives" in refused.stderr
    lose_etcd(cluster, *ALL)
    shown = operator(cluster, "restore", NAME, "--from", str(path), "--dry-run", "-o", "json")
    plan = json.loads(shown.stdout)
    assert (plan["machine"], plan["others"]) == (ALL[0], [*ALL[1:]])
    assert plan["snapshot"]["sha256"] == digest
    unsure = operator(cluster, "restore", NAME, "--from", str(path))
    assert unsure.returncode == 1
    assert cluster.calls(RECOVER, ok=False) == []
    done = operator(cluster, "restore", NAME, "--from", str(path), "--machine", ALL[1], "--yes", "-o", "json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["restored"] is True
    all_have(cluster, {"/colour": "blue"})
    assert cluster.calls(BOOTSTRAP, ok=False)[1:] == [ALL[1]]
    again = operator(cluster, "restore", NAME, "--from", str(path), "--yes")
    assert (again.returncode, "given before" in again.stdout) == (0, True), again.stderr
    assert len(cluster.calls(RECOVER, ok=False)) == 1
    assert len(cluster.calls(BOOTSTRAP, ok=False)) == 2


def test_what_talos_refuses_after_the_order_is_told_and_tried_again_only_when_asked_for(
    cluster: Cluster, tmp_path: Path
) -> None:
    path = tmp_path / "etcd.db"
    take_snapshot(cluster, path)
    lose_etcd(cluster, *ALL)
    cluster.run.control(op="stream", method=RECOVER, how="corrupt", bytes=700_000)
    arguments = ("restore", NAME, "--from", str(path), "--yes")
    failed = operator(cluster, *arguments, "--timeout", "15s")
    assert failed.returncode == 1
    assert "expected sha256 [" in failed.stderr
    said = cluster.says(KIND, NAME, "Restored", "EtcdNotBegun")
    assert "spec.restore.attempt" in said["message"]
    lose_etcd(cluster, ALL[0])
    assert len(cluster.calls(BOOTSTRAP, ok=False)) == 2
    done = operator(cluster, *arguments, "--attempt", "2")
    assert done.returncode == 0, done.stderr
    all_have(cluster, {"/colour": "blue"})
    assert len(cluster.calls(BOOTSTRAP, ok=False)) == 3


@pytest.mark.parametrize("moment", ["before", "after", "replied"])
def test_a_command_that_is_killed_is_called_again_and_nothing_is_ordered_twice(
    cluster: Cluster, tmp_path: Path, moment: str
) -> None:
    path = tmp_path / "etcd.db"
    take_snapshot(cluster, path)
    lose_etcd(cluster, *ALL)
    arguments = (
        "restore",
        NAME,
        "--from",
        str(path),
        "--yes",
        "--kubeconfig",
        str(cluster.run.folder / "kubeconfig"),
    )
    with subprocess.Popen([sys.executable, "-m", "engine", *arguments], cwd=ROOT) as process:
        cluster.run.control(op="kill", pid=process.pid, call=1, moment=moment)
        assert process.wait(60) < 0
    done = operator(cluster, "restore", NAME, "--from", str(path), "--yes")
    assert done.returncode == 0, done.stderr
    all_have(cluster, {"/colour": "blue"})
    assert len(cluster.calls(BOOTSTRAP, ok=False)) == 2


def test_lost_keys_come_back_from_the_file_beside_the_snapshot(cluster: Cluster, tmp_path: Path) -> None:
    path, state = tmp_path / "etcd.db", tmp_path / "state.yaml"
    take_snapshot(cluster, path)
    secret = cluster.get("Secret", f"{NAME}-state", "v1")
    state.write_text(
        json.dumps({key: secret[key] for key in ("apiVersion", "kind", "metadata", "type", "data")})
    )
    lose_etcd(cluster, *ALL)
    cluster.client.delete(Key(cluster.client.kind_named("v1", "Secret"), "default", f"{NAME}-state"))
    lost = operator(cluster, "restore", NAME, "--from", str(path), "--yes")
    assert "--state FILE brings it back" in lost.stderr, lost.stderr
    assert lost.returncode == 1
    sealed, foreign = tmp_path / "sealed", tmp_path / "foreign.yaml"
    sealed.write_bytes(b"age-encryption.org/v1\n\xff\xfe")
    foreign.write_text("kind: ConfigMap")
    for wrong, said in ((sealed, "the file is encrypted"), (foreign, "no Secret with secretBundle")):
        failed = operator(cluster, "restore", NAME, "--from", str(path), "--state", str(wrong), "--yes")
        assert (failed.returncode, said in failed.stderr) == (1, True), failed.stderr
    done = operator(cluster, "restore", NAME, "--from", str(path), "--state", str(state), "--yes")
    assert done.returncode == 0, done.stderr
    all_have(cluster, {"/colour": "blue"})
    assert (
        cluster.get("Secret", f"{NAME}-state", "v1")["data"]["secretBundle"] == secret["data"]["secretBundle"]
    )


def test_machines_with_new_disks_are_installed_again_and_get_the_snapshot(
    cluster: Cluster, tmp_path: Path
) -> None:
    path = tmp_path / "etcd.db"
    take_snapshot(cluster, path)
    for address in ALL:
        cluster.run.control(op="wipe", machine=address)
    for address in ALL:
        cluster.run.control(op="power-on", machine=address)
    until(
        "empty etcds on new disks",
        lambda: all(cluster.run.machines()[at]["services"].get("etcd") == "Preparing" for at in ALL),
        deadline_s=90,
    )
    done = operator(cluster, "restore", NAME, "--from", str(path), "--yes")
    assert done.returncode == 0, done.stderr
    all_have(cluster, {"/colour": "blue"})
    assert len(cluster.calls(BOOTSTRAP, ok=False)) == 2


def test_a_restore_is_refused_while_a_quorum_lives(cluster: Cluster, tmp_path: Path) -> None:
    path = tmp_path / "etcd.db"
    digest = take_snapshot(cluster, path)
    ask_for(cluster, snapshot=digest, file=str(path))
    said = cluster.says(KIND, NAME, "Restored", "RestoreRefused")
    assert "a quorum of etcd lives" in said["message"]
    assert cluster.calls(RECOVER, ok=False) == []
    assert len(cluster.calls(BOOTSTRAP, ok=False)) == 1
    cluster.ready(KIND)


def test_a_snapshot_that_is_spoilt_is_never_sent(cluster: Cluster, tmp_path: Path) -> None:
    path = tmp_path / "etcd.db"
    digest = take_snapshot(cluster, path)
    whole = bytearray(path.read_bytes())
    whole[100_000] ^= 1
    path.write_bytes(whole)
    lose_etcd(cluster, *ALL)
    ask_for(cluster, snapshot=digest, file=str(path))
    said = cluster.says(KIND, NAME, "Restored", "UploadFailed")
    assert "the digest at its end is not that of the bytes before it" in said["message"]
    assert cluster.calls(RECOVER, ok=False) == []


@pytest.mark.parametrize("moment", ["before", "after", "replied"])
@pytest.mark.parametrize("call", [1, 2])
def test_an_engine_that_is_killed_at_a_restore_gives_its_order_once(
    cluster: Cluster, tmp_path: Path, call: int, moment: str
) -> None:
    path = tmp_path / "etcd.db"
    digest = take_snapshot(cluster, path)
    lose_etcd(cluster, *ALL)
    process = cluster.run.process
    assert process is not None
    cluster.run.control(op="kill", pid=process.pid, call=call, moment=moment)
    ask_for(cluster, snapshot=digest, file=str(path))
    process.wait(60)
    cluster.run.start("--simulate", "3")
    again = Cluster(cluster.run)
    all_have(again, {"/colour": "blue"})
    assert len(again.calls(BOOTSTRAP)) == 2  # the first one made the cluster
    # What never arrived, because its sender died before it was carried out, is all that is sent again.
    never_arrived = (call, moment) == (2, "before")
    assert len(again.calls(BOOTSTRAP, ok=False)) == (3 if never_arrived else 2)
