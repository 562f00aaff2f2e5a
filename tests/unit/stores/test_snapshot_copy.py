"""A snapshot on its way from a real node over mTLS into a store: whole under its name, or not there at all."""

from __future__ import annotations

import hashlib
import random
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import grpc
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "ports_talos"))

from s3_server import cut_before, says
from talos_node import Network, address, identity

from engine import protocol
from engine.base.errors import Denied, Garbled, OutcomeUnknown, RemoteError
from engine.base.values import Opaque
from engine.capabilities.etcd_snapshot_copy import CAPABILITY, copied
from engine.capabilities.stores import handle_of
from engine.etcdfile.layout import PAGE, Meta, meta_page
from engine.ports.stores.directory import DirectoryStore, DirectoryUpload
from engine.ports.talos.client import TalosClient

KEY = "talos-operator-etcd-backups/cp/etcd-snapshot-2026-11-28T10-00-00Z.db"
BUNDLE = Opaque("a bundle")
PIECE = 1024


def snapshot(pages):
    """A database's first pages, noise in place of the others, and the digest behind it."""
    meta = Meta(page_size=PAGE, root=3, freelist=2, pages=pages, transaction=7)
    head = meta_page(0, meta) + meta_page(1, meta)
    body = head + random.Random(pages).randbytes(PAGE * pages - len(head))
    return body + hashlib.sha256(body).digest()


SMALL = snapshot(4)
LARGE = snapshot(11 << 8)


def sends(data, *, piece=PIECE, gate=None, then=None):
    def handler(_request, context):
        make = protocol.message_class("common.Data")
        for start in range(0, len(data), piece):
            yield make(bytes=data[start : start + piece])
        if gate is not None:
            gate.wait(30)
        if then is not None:
            context.abort(*then)

    return handler


@pytest.fixture
def node(tmp_path):
    (tmp_path / "nodes").mkdir()
    network = Network(tmp_path / "nodes")
    yield network.node(1)
    network.close()


class Copier:
    """Copies from the node into a store, as a job does."""

    def __init__(self, place):
        self.client = TalosClient(loopback_only=True)
        self.client.start()
        self._who = identity()
        self._given = {"endpoint": address(1), "identity": BUNDLE, "store": handle_of(place), "key": KEY}

    def __call__(self, stop=None):
        identities = SimpleNamespace(of=lambda bundle, _now: self._who if bundle == BUNDLE else None)
        ports = SimpleNamespace(talos=self.client, identities=identities, now=0.0)
        return CAPABILITY.work(ports, self._given, stop or threading.Event())


@pytest.fixture
def copy(world):
    copier = Copier(world.place if hasattr(world, "place") else world.root)
    yield copier
    copier.client.close()


@pytest.fixture
def to_bucket(bucket):
    copier = Copier(bucket.place)
    yield copier
    copier.client.close()


def files(world):
    return {key: data for key, data in world.objects().items() if not key.endswith(".sha256")}


def nothing_is_there(world):
    return files(world) == {} and world.partial() == []


def test_what_is_still_looked_at_by_a_try_that_failed_does_not_end_a_copy(tmp_path, monkeypatch):
    looks, write = [], DirectoryUpload.write

    def looking(self, data):
        looks.append(memoryview(data))
        write(self, data)

    monkeypatch.setattr(DirectoryUpload, "write", looking)
    make = protocol.message_class("common.Data")
    messages = (
        memoryview(make(bytes=LARGE[start : start + 65536]).SerializeToString())
        for start in range(0, len(LARGE), 65536)
    )
    copied(messages, DirectoryStore(tmp_path), KEY, threading.Event(), source="here")
    assert len(looks) > 2
    assert (tmp_path / KEY).read_bytes() == LARGE


@pytest.mark.parametrize("data", [SMALL, LARGE])
@pytest.mark.parametrize("piece", [PIECE, 333_333])
def test_a_whole_snapshot_is_there_whole_with_its_digest(world, node, copy, data, piece):
    node.handlers["EtcdSnapshot"] = sends(data, piece=piece)
    told = copy()
    assert files(world) == {KEY: data}
    assert world.partial() == []
    assert (told["bytes"], told["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    assert 0 < told["seconds"] < 100


CUTS = sorted({0, 1, PIECE, PAGE - 1, PAGE, PAGE + 32, 2 * PAGE, 2 * PAGE + 32, len(SMALL) - PIECE}
    | {len(SMALL) - each for each in (1, 31, 32, 33, 512)})  # fmt: skip


@pytest.mark.parametrize("end", CUTS)
def test_a_snapshot_that_ends_early_with_an_ok_is_not_published(world, node, copy, end):
    node.handlers["EtcdSnapshot"] = sends(SMALL[:end])
    with pytest.raises(Garbled) as caught:
        copy()
    assert caught.value.code == "BadSnapshot"
    assert caught.value.retryable
    assert nothing_is_there(world)


@pytest.mark.parametrize("end", [0, PIECE, 6 << 20, len(LARGE)])
def test_a_stream_that_ends_with_an_error_is_not_published_even_when_all_bytes_came(world, node, copy, end):
    node.handlers["EtcdSnapshot"] = sends(LARGE[:end], then=(grpc.StatusCode.UNAVAILABLE, "etcd went away"))
    with pytest.raises(RemoteError, match="etcd went away"):
        copy()
    assert nothing_is_there(world)


@pytest.mark.parametrize("place", [0, 17, 3 * PAGE, len(SMALL) - 33, len(SMALL) - 32, len(SMALL) - 1])
def test_one_flipped_bit_anywhere_is_not_published(world, node, copy, place):
    data = bytearray(SMALL)
    data[place] ^= 1
    node.handlers["EtcdSnapshot"] = sends(bytes(data))
    with pytest.raises(Garbled):
        copy()
    assert nothing_is_there(world)


def test_what_is_no_database_is_refused_before_the_rest_is_taken(world, node, copy):
    body = bytes(8 << 20)
    node.handlers["EtcdSnapshot"] = sends(body + hashlib.sha256(body).digest())
    with pytest.raises(Garbled, match="does not begin as a database"):
        copy()
    assert nothing_is_there(world)


def test_a_node_that_may_not_be_asked_leaves_nothing(world, node, copy):
    node.handlers["EtcdSnapshot"] = sends(b"", then=(grpc.StatusCode.PERMISSION_DENIED, "not for readers"))
    with pytest.raises(Denied):
        copy()
    assert nothing_is_there(world)


def test_a_cut_connection_leaves_nothing(world, node, copy):
    gate = threading.Event()
    node.handlers["EtcdSnapshot"] = sends(LARGE[: 7 << 20], gate=gate)
    threading.Timer(1.0, lambda: node.cut(reset=True)).start()
    with pytest.raises(OutcomeUnknown):
        copy()
    gate.set()
    assert nothing_is_there(world)


def test_stop_ends_it_and_leaves_nothing(world, node, copy):
    stop = threading.Event()

    def slowly(_request, context):
        make = protocol.message_class("common.Data")
        for start in range(0, len(LARGE), PIECE):
            if start == 6 << 20:
                stop.set()
            yield make(bytes=LARGE[start : start + PIECE])

    node.handlers["EtcdSnapshot"] = slowly
    with pytest.raises(OutcomeUnknown) as caught:
        copy(stop)
    assert caught.value.code == "Stopped"
    assert nothing_is_there(world)


def test_a_failed_try_is_made_good_under_the_same_key(world, node, copy):
    node.handlers["EtcdSnapshot"] = sends(LARGE[:-1])
    with pytest.raises(Garbled):
        copy()
    node.handlers["EtcdSnapshot"] = sends(LARGE)
    copy()
    assert files(world) == {KEY: LARGE}
    assert world.partial() == []


def test_a_store_that_fails_in_the_middle_leaves_nothing(bucket, node, to_bucket):
    node.handlers["EtcdSnapshot"] = sends(LARGE)
    for failures in ([says(403, "AccessDenied")], [says(500)] * 8, [cut_before] * 8):
        bucket.between.quiet()
        bucket.between.next("UploadPart", *failures)
        with pytest.raises(RemoteError):
            to_bucket()
        assert nothing_is_there(bucket)


def test_leftovers_of_a_crash_go_with_the_next_try(bucket, node, to_bucket):
    assert b"UploadId" in bucket.ask("POST", f"/{bucket.place.bucket}/{KEY}?uploads")
    node.handlers["EtcdSnapshot"] = sends(SMALL)
    to_bucket()
    assert bucket.open_uploads() == []
    assert files(bucket) == {KEY: SMALL}


def test_who_may_not_list_uploads_may_still_copy(bucket, node, to_bucket, caplog):
    bucket.between.next("ListMultipartUploads", says(403, "AccessDenied"))
    node.handlers["EtcdSnapshot"] = sends(SMALL)
    to_bucket()
    assert files(bucket) == {KEY: SMALL}
    assert "cannot be looked for" in caplog.text
