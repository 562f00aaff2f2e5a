"""What every store promises, told to each of them in the same words."""

from __future__ import annotations

import hashlib
import random
import threading
import time

import pytest

from engine.base.errors import Garbled, Missing, Refused

KEY = "talos-operator-etcd-backups/cp/etcd-snapshot-2026-11-28T10-00-00Z.db"
LARGE = random.Random(7).randbytes(11 << 20)
DIGEST = hashlib.sha256(LARGE).hexdigest()


def upload(store, data, key=KEY, digest=None):
    with store.upload(key) as going:
        for start in range(0, len(data), 1 << 20):
            going.write(data[start : start + (1 << 20)])
        going.complete(digest or hashlib.sha256(data).hexdigest())


def files(world):
    return {key: data for key, data in world.objects().items() if not key.endswith(".sha256")}


def test_an_absent_file_is_none(store):
    assert store.stat(KEY) is None


@pytest.mark.parametrize("size", [0, 1, 5000, 5 << 20, len(LARGE)])
def test_a_completed_upload_is_there_whole_with_its_digest(store, world, size):
    data = LARGE[:size]
    before = time.time()
    upload(store, data)
    found = store.stat(KEY)
    assert (found.key, found.size, found.sha256) == (KEY, size, hashlib.sha256(data).hexdigest())
    assert abs(found.modified - before) < 60
    assert files(world) == {KEY: data}
    assert world.partial() == []
    assert b"".join(store.read(KEY)) == data


def test_nothing_is_there_before_it_is_complete(store, world):
    with store.upload(KEY) as going:
        going.write(LARGE)
        assert files(world) == {}
        assert store.stat(KEY) is None
        going.complete(DIGEST)
    assert files(world) == {KEY: LARGE}


@pytest.mark.parametrize("data", [b"small", LARGE])
def test_an_upload_that_is_left_leaves_nothing(store, world, data):
    with store.upload(KEY) as going:
        going.write(data)
    assert world.objects() == {}
    assert world.partial() == []


@pytest.mark.parametrize("data", [b"small", LARGE])
def test_a_wrong_digest_publishes_nothing(store, world, data):
    with pytest.raises(Garbled) as caught:
        upload(store, data, digest="0" * 64)
    assert caught.value.code == "BadDigest"
    assert files(world) == {}
    assert world.partial() == []


def test_a_new_file_takes_the_place_of_the_old_one_at_once(store, world):
    upload(store, b"old")
    with store.upload(KEY) as going:
        going.write(LARGE)
        assert files(world) == {KEY: b"old"}
        assert store.stat(KEY).sha256 == hashlib.sha256(b"old").hexdigest()
        going.complete(DIGEST)
    assert files(world) == {KEY: LARGE}
    assert store.stat(KEY).sha256 == DIGEST


def test_a_small_file_is_put_at_once(store, world):
    store.put(KEY, b"a few words")
    assert files(world) == {KEY: b"a few words"}
    assert store.stat(KEY).sha256 == hashlib.sha256(b"a few words").hexdigest()


def test_digests_are_found_beside_the_files_that_were_uploaded_in_parts(store, world):
    upload(store, LARGE)
    name = KEY.rpartition("/")[2]
    assert world.objects()[KEY + ".sha256"].decode().splitlines()[0] == f"{DIGEST}  {name}"


def test_a_list_holds_files_alone_in_the_order_of_their_keys(store):
    for key in ("a/b/2.db", "a/b/1.db", "a/b.db", "a/c/3.db", "other/4.db"):
        upload(store, key.encode(), key)
    upload(store, LARGE, "a/b/large.db")
    assert [each.key for each in store.list("a/")] == [
        "a/b.db",
        "a/b/1.db",
        "a/b/2.db",
        "a/b/large.db",
        "a/c/3.db",
    ]
    assert [(each.key, each.size) for each in store.list("a/b/1")] == [("a/b/1.db", 8)]
    assert len(list(store.list(""))) == 6
    assert list(store.list("nothing/here")) == []


@pytest.mark.parametrize("data", [b"small", LARGE])
def test_deleting_leaves_nothing_and_what_is_absent_is_deleted(store, world, data):
    upload(store, data)
    store.delete(KEY)
    assert world.objects() == {}
    store.delete(KEY)
    assert store.stat(KEY) is None


def test_reading_what_is_absent_says_so(store):
    with pytest.raises(Missing):
        b"".join(store.read(KEY))


def test_what_is_being_written_is_no_leftover(store, world):
    with store.upload(KEY) as going:
        going.write(LARGE)
        assert store.abort_open("talos-operator-etcd-backups/cp/") == 0
        going.complete(DIGEST)
    assert files(world) == {KEY: LARGE}


def test_two_uploads_of_one_key_leave_one_of_them_whole(store, world):
    contents = {hashlib.sha256(data).hexdigest(): data for data in (LARGE, LARGE[::-1])}
    gate = threading.Barrier(2)

    def work(digest, data):
        with store.upload(KEY) as going:
            going.write(data)
            gate.wait(30)
            going.complete(digest)

    threads = [threading.Thread(target=work, args=each) for each in contents.items()]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    found = store.stat(KEY)
    assert files(world) == {KEY: contents[found.sha256]}
    assert world.partial() == []


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/etc/passwd",
        "../x",
        "a/../../x",
        "a//b",
        "a/",
        ".hidden",
        "a/.b",
        "a\\b",
        "a\nb",
        "x.sha256",
        "x" * 1000,
    ],
)
def test_no_key_leads_anywhere_else(store, world, key):
    for act in (store.stat, store.upload, store.delete, lambda each: store.put(each, b"x")):
        with pytest.raises(Refused) as caught:
            act(key)
        assert caught.value.code == "InvalidKey"
    assert world.objects() == {}
