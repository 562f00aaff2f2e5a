"""kill -9 at every request to an object store, before and after the store has done it."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from s3_server import cut_before

ROOT = Path(__file__).parents[3]
KEY = "talos-operator-etcd-backups/cp/etcd-snapshot-2026-11-28T10-00-00Z.db"
SIZE = 11 << 20
DATA = b"n" * SIZE
MOST = 40
SCRIPT = """
import hashlib, json, sys
from engine.ports.stores import s3_upload
from engine.ports.stores.s3 import S3Store
from engine.ports.stores.s3place import S3Place
s3_upload.PART = 5 << 20
told = json.loads(sys.argv[1])
data = b"n" * told["size"]
store = S3Store(S3Place(**told["place"]))
store.abort_open(told["key"])
with store.upload(told["key"]) as going:
    going.write(data)
    going.complete(hashlib.sha256(data).hexdigest())
"""


def files(bucket):
    return {key: data for key, data in bucket.objects().items() if not key.endswith(".sha256")}


@pytest.mark.slow
@pytest.mark.parametrize("after", [False, True])
def test_kill_9_at_any_request_publishes_all_or_nothing_and_one_look_later_nothing_is_open(bucket, s3, after):
    told = json.dumps({"place": asdict(bucket.place), "key": KEY, "size": SIZE})
    ends = []
    for number in range(1, MOST):
        s3.delete(KEY)
        bucket.between.quiet()
        process = subprocess.Popen([sys.executable, "-c", SCRIPT, told], cwd=ROOT, stderr=subprocess.DEVNULL)

        def kill(exchange, process=process):
            if after:
                exchange.forward()
            os.kill(process.pid, signal.SIGKILL)
            cut_before(exchange)

        bucket.between.at(number, kill)
        ended = process.wait(60)
        bucket.between.quiet()
        found, said = files(bucket), s3.stat(KEY)
        assert found in ({}, {KEY: DATA}), number
        assert (said is None) == (found == {}), number
        assert said is None or said.sha256 in (None, hashlib.sha256(DATA).hexdigest()), number
        s3.abort_open(KEY)
        assert bucket.open_uploads() == [], number
        ends.append(bool(found))
        if ended == 0:
            break
        assert ended == -signal.SIGKILL
    else:
        pytest.fail("it never came to its end")
    assert len(ends) > 6
    assert ends[0] is False
    assert ends[-1] is True
