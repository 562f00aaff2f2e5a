"""The store in a directory: nothing leaves it, a full disk and a crash publish nothing, digests tell the truth."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from engine.base.errors import Refused, RemoteError
from engine.ports.stores.directory import DirectoryStore

ROOT = Path(__file__).parents[3]
KEY = "talos-operator-etcd-backups/cp/snapshot.db"
SCRIPT = """
import hashlib, os, signal, sys
from pathlib import Path
from engine.base.errors import RemoteError
from engine.ports.stores.directory import DirectoryStore
root, size, dies_at = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
calls = 0
def counted(name):
    real = getattr(os, name)
    def call(*args, **kwargs):
        global calls
        calls += 1
        if calls == dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)
    setattr(os, name, call)
for name in ("open", "mkdir", "write", "fsync", "rename", "unlink", "close"):
    counted(name)
data = b"n" * size
try:
    with DirectoryStore(root).upload("talos-operator-etcd-backups/cp/snapshot.db") as going:
        for start in range(0, size, 65536):
            going.write(data[start:start + 65536])
        going.complete(hashlib.sha256(data).hexdigest())
except RemoteError as error:
    print(error.code, error)
    sys.exit(3)
"""


@pytest.fixture
def root(tmp_path):
    (tmp_path / "store").mkdir()
    return tmp_path / "store"


def child(root, size, *, dies_at=0, before=(), **options):
    return subprocess.run(
        [*before, sys.executable, "-c", SCRIPT, str(root), str(size), str(dies_at)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **options,
    )


def everything(root):
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def test_a_directory_that_is_not_there_is_not_made(tmp_path):
    store = DirectoryStore(tmp_path / "volume")
    for act in (lambda: store.put(KEY, b"x"), lambda: store.stat(KEY), lambda: list(store.list(""))):
        with pytest.raises(Refused) as caught:
            act()
        assert caught.value.code == "NoDirectory"
    assert not (tmp_path / "volume").exists()


def test_no_link_leads_out(root, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.db").write_text("secret")
    (root / "folder").symlink_to(outside)
    (root / "file.db").symlink_to(outside / "secret.db")
    store = DirectoryStore(root)
    for key in ("folder/secret.db", "file.db"):
        for act in (store.stat, lambda each: b"".join(store.read(each))):
            with pytest.raises(Refused):
                act(key)
    with pytest.raises(Refused):
        store.put("folder/new.db", b"x")
    assert list(store.list("")) == []
    store.abort_open("")
    assert everything(outside) == ["secret.db"]
    # A link under the key itself is replaced, not followed.
    store.put("file.db", b"mine")
    assert (outside / "secret.db").read_text() == "secret"
    assert (root / "file.db").read_bytes() == b"mine"


def test_a_pipe_or_folder_under_a_key_holds_nobody_up(root):
    os.mkfifo(root / "pipe.db")
    (root / "folder.db").mkdir()
    for key in ("pipe.db", "folder.db"):
        with pytest.raises(Refused):
            DirectoryStore(root).stat(key)
    with pytest.raises(RemoteError):
        DirectoryStore(root).put("folder.db", b"x")
    assert not [name for name in everything(root) if ".partial" in name]


def test_the_digest_beside_a_file_is_read_by_sha256sum(root):
    DirectoryStore(root).put(KEY, b"content")
    checked = subprocess.run(
        ["sha256sum", "--check", "--strict", "snapshot.db.sha256"],
        cwd=(root / KEY).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stdout.strip()) == (0, "snapshot.db: OK"), checked.stderr


def test_files_are_for_their_owner_alone(root):
    DirectoryStore(root).put(KEY, b"content")
    assert {path.stat().st_mode & 0o077 for path in root.rglob("*")} == {0}


def test_a_file_that_changed_since_has_no_digest(root):
    store = DirectoryStore(root)
    store.put(KEY, b"content")
    (root / KEY).write_bytes(b"contenT")
    assert store.stat(KEY).sha256 is None


def test_a_directory_that_was_copied_elsewhere_keeps_its_digests(root, tmp_path):
    DirectoryStore(root).put(KEY, b"content")
    shutil.copytree(root, tmp_path / "copy")
    os.utime(tmp_path / "copy" / KEY, (1, 1))
    assert DirectoryStore(tmp_path / "copy").stat(KEY).sha256 == sha256(b"content")


def test_a_digest_file_without_sense_is_none(root):
    store = DirectoryStore(root)
    store.put(KEY, b"content")
    for text in (b"", b"\xff" * 100, b"no digest", b"0" * 63):
        (root / f"{KEY}.sha256").write_bytes(text)
        assert store.stat(KEY).sha256 is None


def test_a_limit_on_file_sizes_publishes_nothing(root):
    limited = ["bash", "-c", 'ulimit -f 100; exec "$@"', "-"]
    ended = child(root, 1 << 20, before=limited)
    assert ended.returncode == 3, ended.stderr
    assert ended.stdout.startswith("NoSpace")
    assert everything(root) == []


def test_a_full_disk_publishes_nothing_and_keeps_what_was_there(root):
    script = f'mount -t tmpfs -o size=512k none {root} || exit 77; "$@"; code=$?; ls -AR {root}; exit $code'
    unshared = ["unshare", "--map-root-user", "--mount", "bash", "-c", script, "-"]
    ended = child(root, 1 << 20, before=unshared)
    if ended.returncode in (1, 77):
        pytest.skip(f"no mounts here: {ended.stderr[:100]}")
    assert ended.returncode == 3, ended.stderr
    assert ended.stdout.startswith("NoSpace")
    assert ".db" not in ended.stdout.partition("\n")[2]


def test_a_directory_that_may_not_be_written_is_told(root):
    root.chmod(0o500)
    # Modes hold for root, too, once it lacks the capabilities that override them.
    overrides = "-dac_override,-dac_read_search"
    bound = ["setpriv", f"--inh-caps={overrides}", f"--bounding-set={overrides}"] if os.geteuid() == 0 else []
    ended = child(root, 1, before=bound)
    assert (ended.returncode, ended.stdout.split()[:1]) == (3, ["Denied"]), ended.stdout + ended.stderr
    assert everything(root) == []


def test_kill_9_at_any_call_leaves_the_old_file_or_the_new_one_and_a_true_digest(root):
    store = DirectoryStore(root)
    old, new = b"old content", b"n" * 200_000
    store.put(KEY, old)
    for dies_at in range(1, 100):
        ended = child(root, len(new), dies_at=dies_at)
        found = (root / KEY).read_bytes()
        assert found in (old, new)
        said = store.stat(KEY).sha256
        assert said in (None, sha256(found)), dies_at
        store.abort_open("talos-operator-etcd-backups/")
        assert everything(root) == [KEY, f"{KEY}.sha256"], dies_at
        if ended.returncode == 0:
            break
        assert ended.returncode == -signal.SIGKILL
        store.put(KEY, old)
        assert store.stat(KEY).sha256 == sha256(old)
    else:
        pytest.fail("it never came to its end")
    assert dies_at > 8
    assert store.stat(KEY).sha256 == sha256(new)


@pytest.mark.slow
def test_what_a_killed_put_left_half_written_is_gone_after_the_next_one(root):
    """It may be the keys of a cluster, and nobody looks for them under any other name."""
    store = DirectoryStore(root)
    for dies_at in range(1, 60):
        ended = child(root, 1000, dies_at=dies_at)
        store.put(KEY, b"whole")
        assert [path.name for path in root.rglob(".*")] == [], dies_at
        store.delete(KEY)
        if ended.returncode == 0:
            break
    else:
        pytest.fail("it never came to its end")
    assert dies_at > 10
