"""`talos-operator backup list` and `verify` on files, without a cluster."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from engine.cli.program import execute, program
from engine.simulator import etcd
from engine.simulator.database import database_pages


def snapshot(path: Path, size: int = 1 << 20) -> Path:
    known = etcd.form("demo", etcd.Member(etcd.new_member_id(), "first", "127.0.0.1"))
    body = b"".join(database_pages(etcd.put(known, "/a", "b"), size))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body + hashlib.sha256(body).digest())
    return path


def call(*arguments: str) -> Result:
    return CliRunner().invoke(program, list(arguments), standalone_mode=False)


def test_a_whole_snapshot_is_told_with_its_size_revision_and_digest(tmp_path: Path) -> None:
    path = snapshot(tmp_path / "etcd.db")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    shown = call("backup", "verify", str(path))
    assert shown.output.startswith(f"{path}: whole, 1.0 MiB, revision 3,")
    assert f"sha256 {digest}" in shown.output
    (item,) = json.loads(call("backup", "verify", str(path), "-o", "json").output)["items"]
    assert (item["sha256"], item["revision"], item["size"]) == (digest, 3, (1 << 20) + 32)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda whole: whole[:-32], "the digest at its end is missing or cut"),
        (lambda whole: whole[: 512 * 700 + 32], "it was changed or cut"),
        (lambda whole: whole[:5000] + b"x" + whole[5001:], "it was changed or cut"),
        (lambda _: b"x" * 512 + hashlib.sha256(b"x" * 512).digest(), "no bbolt database"),
        (lambda _: b"", "0 bytes"),
    ],
)
def test_a_snapshot_that_cannot_be_restored_from_is_named_with_what_is_wrong(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], change: object, said: str
) -> None:
    path = snapshot(tmp_path / "etcd.db")
    assert callable(change)
    path.write_bytes(change(path.read_bytes()))
    assert execute(["backup", "verify", str(path)]) == 1
    told = capfd.readouterr().err
    assert said in told
    assert f"in {path}" in told


def test_the_snapshots_of_a_directory_are_listed_and_verified(tmp_path: Path) -> None:
    whole = snapshot(tmp_path / "demo" / "etcd-snapshot-1.db")
    broken = snapshot(tmp_path / "demo" / "etcd-snapshot-2.db")
    broken.write_bytes(broken.read_bytes()[:-1])
    (tmp_path / "demo" / "state-1.yaml").write_text("secret")
    listed = call("backup", "list", "--directory", str(tmp_path))
    assert listed.return_value == 0
    assert [line.split()[0] for line in listed.output.splitlines()[1:]] == [
        "demo/etcd-snapshot-1.db",
        "demo/etcd-snapshot-2.db",
    ]
    judged = call("backup", "list", "--directory", str(tmp_path), "--verify", "-o", "json")
    states = {item["key"]: item["state"] for item in json.loads(judged.output)["items"]}
    assert judged.return_value == 1
    assert states["demo/etcd-snapshot-1.db"] == "whole"
    assert "the digest at its end is missing or cut" in states["demo/etcd-snapshot-2.db"]
    assert whole.exists()
