"""From a backup in a bucket behind TLS to a cluster that answers again, with nothing but the bucket left."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyrage import x25519

from engine.base.kinds import Key
from tests.sim.cluster import API, BOOTSTRAP, NAME, RESET, Cluster, quickstart, started
from tests.sim.objectstore import ACCESS, BUCKET, SECRET, ObjectStore, object_store
from tests.sim.shipped import ROOT, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

KIND, BACKUP = "TalosControlPlane", "TalosEtcdBackup"
SNAPSHOT = "machine.MachineService/EtcdSnapshot"
RECOVER = "machine.MachineService/EtcdRecover"
ALL = ("127.0.1.1", "127.0.1.2", "127.0.1.3")
EPHEMERAL = {
    "graceful": False,
    "reboot": True,
    "system_partitions_to_wipe": [{"label": "EPHEMERAL", "wipe": True}],
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    with object_store(tmp_path_factory.mktemp("store")) as made:
        yield made


@pytest.fixture
def cluster(tmp_path: Path, store: ObjectStore) -> Iterator[Cluster]:
    """Three control plane machines, Ready, with a key in etcd; the store's Secret is there."""
    with started(tmp_path / "run", machines=3) as made:
        made.run.control(op="speed", factor=3)
        made.apply(quickstart(3, 0))
        made.ready(KIND)
        made.run.control(op="put", machine=ALL[0], key="/colour", value="blue")
        store.introduce(made)
        yield made


def operator(cluster: Cluster | None, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "engine", *arguments]
    if cluster is not None:
        command += ["--kubeconfig", str(cluster.run.folder / "kubeconfig")]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120, check=False)


def back_up(cluster: Cluster, store: ObjectStore, name: str, **more: Any) -> dict[str, Any]:
    """Take a backup into the bucket; the status of its object."""
    spec = {"talosControlPlaneRef": {"name": NAME}, "backupStorage": store.spec, **more}
    metadata = {"name": name, "namespace": "default"}
    leader, asked = cluster.etcd_leader(), len(cluster.calls(SNAPSHOT, ok=False))
    cluster.apply({"apiVersion": API, "kind": BACKUP, "metadata": metadata, "spec": spec})
    cluster.ready(BACKUP, name)
    if cluster.etcd_leader() == leader:
        assert leader not in cluster.calls(SNAPSHOT, ok=False)[asked:]
    status: dict[str, Any] = cluster.get(BACKUP, name)["status"]
    return status


def lose_everything(cluster: Cluster) -> dict[str, str]:
    """Every etcd is empty, and the cluster's keys are gone from the API; gives them."""
    for address in ALL:
        with cluster.machine_api(address) as machine:
            machine.call(RESET, EPHEMERAL)
    until(
        "these etcds are empty",
        lambda: all(cluster.run.machines()[at]["services"].get("etcd") == "Preparing" for at in ALL),
    )
    lost = cluster.secret(f"{NAME}-state")
    cluster.client.delete(Key(cluster.client.kind_named("v1", "Secret"), "default", f"{NAME}-state"))
    return lost


def is_back(cluster: Cluster, keys: dict[str, str]) -> None:
    """Each member holds what the snapshot held and answers with the old keys, which are back."""
    found = lambda: [each["etcd"] and each["etcd"]["keys"] for each in cluster.run.machines().values()]  # noqa: E731
    until("all members answer with the snapshot's state", lambda: found() == [{"/colour": "blue"}] * 3)
    cluster.ready(KIND)
    found_keys = cluster.secret(f"{NAME}-state")
    # Its state is the word of the moment, the rest is what the machines know the cluster by.
    assert {**found_keys, "state": ""} == {**keys, "state": ""}
    for address in ALL:
        with cluster.machine_api(address) as machine:
            (members,) = machine.call("machine.MachineService/EtcdMemberList")["messages"]
            assert len(members["members"]) == 3
    assert len(cluster.calls(RECOVER)) == 1
    assert len(cluster.calls(BOOTSTRAP, ok=False)) == 2  # the first one made the cluster


def told_nowhere(cluster: Cluster, store: ObjectStore, keys: dict[str, str], *more: str) -> None:
    """No key of the cluster's or of the store's in a log of the engine, the machines or the store."""
    folder = cluster.run.folder
    logs = [
        cluster.run.output,
        store.log,
        *(folder / name for name in ("simulator.log", "api.log", "calls.jsonl")),
    ]
    bundle = keys["secretBundle"]
    sealed = [
        line.split(": ", 1)[1] for line in bundle.splitlines() if " key: " in line or "secret: " in line
    ]
    assert len(sealed) >= 4
    for log in logs:
        text = log.read_text(errors="replace")
        for secret in (SECRET, *sealed, *more):
            assert secret not in text, f"{log.name} tells a secret"
    for item in (*cluster.events(), *cluster.run.all_of(cluster.client, BACKUP)):
        assert not any(secret in json.dumps(item) for secret in (SECRET, ACCESS, *sealed, *more))


@pytest.mark.parametrize("how", ["recipients", "passphrase"])
def test_a_cluster_of_which_only_the_bucket_is_left_comes_back_from_it(
    cluster: Cluster, store: ObjectStore, tmp_path: Path, how: str
) -> None:
    opens = tmp_path / "opens"
    if how == "recipients":
        identity = x25519.Identity.generate()
        opens.write_text(f"# made by a person\n{identity}\n")
        encryption: dict[str, Any] = {"recipients": [str(identity.to_public())]}
    else:
        words = secrets.token_urlsafe(30)
        opens.write_text(f"{words}\n")
        body = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "words"},
            "stringData": {"p": words},
        }
        cluster.client.create(cluster.client.kind_named("v1", "Secret"), "default", body)
        encryption = {"passphrase": {"name": "words", "key": "p"}}
    status = back_up(cluster, store, f"sealed-{how}", encryption=encryption)
    stored = store.bucket.objects()
    assert stored[status["stateFilename"]].startswith(b"age-encryption.org/v1")
    assert b"secretBundle" not in b"".join(data for key, data in stored.items() if "state-" in key)
    cluster.run.control(op="put", machine=ALL[0], key="/colour", value="red")
    keys = lose_everything(cluster)

    snapshot, state = (f"s3://{BUCKET}/{status[each]}" for each in ("filename", "stateFilename"))
    flags = store.flags(tmp_path)
    listed = operator(None, "backup", "list", "--store", f"s3://{BUCKET}", "--verify", *flags)
    assert (listed.returncode, status["filename"] in listed.stdout) == (0, True), listed
    restore = ("restore", NAME, "--from", snapshot, *flags)
    lost = operator(cluster, *restore, "--yes")
    assert (lost.returncode, "--state FILE brings it back" in lost.stderr) == (1, True), lost
    closed = operator(cluster, *restore, "--state", state, "--yes")
    assert (closed.returncode, "hint: --state-key FILE" in closed.stderr) == (1, True), closed
    (tmp_path / "wrong").write_text("another passphrase, and a long one")
    wrong = operator(cluster, *restore, "--state", state, "--state-key", str(tmp_path / "wrong"), "--yes")
    assert (wrong.returncode, f"in {state}" in wrong.stderr) == (1, True), wrong
    shown = operator(cluster, *restore, "--state", state, "--state-key", str(opens), "--dry-run")
    assert (shown.returncode, f"from {snapshot}:" in shown.stdout) == (0, True), shown
    assert cluster.find("Secret", f"{NAME}-state", "v1") is None
    done = operator(cluster, *restore, "--state", state, "--state-key", str(opens), "--yes")
    assert done.returncode == 0, done.stderr
    is_back(cluster, keys)
    told_nowhere(cluster, store, keys, opens.read_text().split()[-1])


def test_the_operator_reads_the_backup_from_the_bucket_itself_and_takes_both_objects_away_with_it(
    cluster: Cluster, store: ObjectStore
) -> None:
    before = store.bucket.objects()
    status = back_up(cluster, store, "plain")
    made = set(store.bucket.objects()) - set(before)
    assert {status["filename"], status["stateFilename"]} <= made
    assert all(key.startswith(f"talos-operator-etcd-backups/{NAME}/") for key in made)
    cluster.run.control(op="put", machine=ALL[0], key="/colour", value="red")
    keys = cluster.secret(f"{NAME}-state")
    for address in ALL:
        with cluster.machine_api(address) as machine:
            machine.call(RESET, EPHEMERAL)
    target = Key(cluster.client.kind_named(API, KIND), "default", NAME)
    restore = {"snapshot": status["sha256"], "backupRef": {"name": "plain"}}
    cluster.client.patch(target, {"spec": {"restore": restore}})
    cluster.says(KIND, NAME, "Restored", "Restored", deadline_s=90)
    is_back(cluster, keys)
    cluster.delete(BACKUP, "plain")
    cluster.gone(BACKUP, "plain")
    assert set(store.bucket.objects()) == set(before)
    assert store.bucket.open_uploads() == []
    told_nowhere(cluster, store, keys)
