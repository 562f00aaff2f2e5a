"""etcd's own tool reads and restores the snapshots that the simulator gives: the library that Talos recovers with."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from engine.etcdfile.verify import BadSnapshot, verify_file
from engine.simulator import etcd
from engine.simulator.database import database_pages
from tests.gotool import built

SIZES = (0, 64 << 10, 2 << 20, (3 << 20) + 4096, 130 << 20)


def cluster(members: int = 3, keys: int = 200) -> etcd.EtcdCluster:
    """A cluster of several members that holds some keys."""
    found = etcd.form("demo", etcd.Member(etcd.new_member_id(), "first", "127.0.0.1"))
    for number in range(1, members):
        found = etcd.with_learner(found, etcd.Member(etcd.new_member_id(), f"m{number}", "::1"))
    for number in range(keys):
        found = etcd.put(found, f"/key/{number}", "v" * number)
    return found


def write(path: Path, known: etcd.EtcdCluster, size: int) -> Path:
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for piece in database_pages(known, size):
            digest.update(piece)
            file.write(piece)
        file.write(digest.digest())
    return path


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The built judge; skips where Go or its modules cannot be had."""
    return built(Path(__file__).parent, tmp_path_factory.mktemp("judge") / "etcdjudge")


def judged(program: str, path: Path, folder: Path) -> dict[str, Any]:
    done = subprocess.run([program, str(path), str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.slow
@pytest.mark.go
@pytest.mark.timeout(600)
def test_etcds_own_tool_restores_a_snapshot_of_any_size(judge: str, tmp_path: Path, size: int) -> None:
    known = cluster()
    path = write(tmp_path / "snapshot.db", known, size)
    ours = verify_file(path)
    found = judged(judge, path, tmp_path / "data")
    assert found["revision"] == known.revision == ours.revision
    assert found["buckets"]["members"] == len(known.members) == len(ours.members)
    assert found["buckets"]["key"] == found["keys"] == ours.entries
    assert found["size"] == ours.size - 32 == max(size, found["size"])
    assert found["version"] == "3.6.0"
    assert (tmp_path / "data" / "member" / "wal").is_dir()


@pytest.mark.slow
@pytest.mark.go
@pytest.mark.timeout(600)
def test_etcds_own_tool_refuses_what_we_refuse(judge: str, tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.db", cluster(), 1 << 20).read_bytes()
    spoilt = {
        "cut": whole[:600_000],
        "without digest": whole[:-32],
        "flipped": whole[:900_000] + bytes([whole[900_000] ^ 1]) + whole[900_001:],
        "no database": hashlib.sha256(b"x" * 512).digest().join([b"x" * 512, b""]),
    }
    for name, content in spoilt.items():
        path = tmp_path / "spoilt.db"
        path.write_bytes(content)
        with pytest.raises(BadSnapshot):
            verify_file(path)
        done = subprocess.run(
            [judge, str(path), str(tmp_path / name)], capture_output=True, text=True, check=False
        )
        assert done.returncode != 0, name


def test_no_byte_of_a_snapshot_can_change_unseen(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.db", cluster(), 64 << 10).read_bytes()
    path = tmp_path / "spoilt.db"
    for place in (0, 20, 4096 + 30, 9000, 13_000, len(whole) // 2, len(whole) - 33, len(whole) - 1):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x80]) + whole[place + 1 :])
        with pytest.raises(BadSnapshot, match="digest"):
            verify_file(path)


def test_pages_that_lie_are_told_and_never_followed(tmp_path: Path) -> None:
    body = write(tmp_path / "whole.db", cluster(keys=3), 64 << 10).read_bytes()[:-32]
    path = tmp_path / "lying.db"
    for place in range(0, 5 * 4096, 3):
        changed = bytearray(body)
        changed[place] ^= 0xFF
        path.write_bytes(bytes(changed) + hashlib.sha256(changed).digest())
        try:
            verify_file(path)
        except BadSnapshot as error:
            assert str(error)  # noqa: PT017  most changes are told, some leave another sound database


def test_a_snapshot_that_is_cut_anywhere_is_never_taken_for_whole(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.db", cluster(), 1 << 20).read_bytes()
    path = tmp_path / "cut.db"
    places = {edge + step for edge in range(0, len(whole), 64 << 10) for step in (-1, 0, 1, 31, 32, 33)}
    for place in sorted(place for place in places if 0 <= place < len(whole)):
        path.write_bytes(whole[:place])
        with pytest.raises(BadSnapshot):
            verify_file(path)
