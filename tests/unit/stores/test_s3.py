"""The object store when it, or the way to it, fails: never a part of a file under its key, never a secret told."""

from __future__ import annotations

import hashlib
import logging
import random
import re
import threading
import time
from dataclasses import replace

import pytest
from s3_server import (
    ACCESS,
    BUCKET,
    HOST,
    SECRET,
    cut_after,
    cut_before,
    error_in_ok,
    flipped,
    garbage,
    portal,
    says,
    short_answer,
    shortened,
)

from engine.base.errors import (
    Denied,
    Garbled,
    Missing,
    OutcomeUnknown,
    Refused,
    RemoteError,
    Throttled,
    Unreachable,
)
from engine.machineconfig import certificates
from engine.ports.stores import s3 as s3_module
from engine.ports.stores import s3_upload
from engine.ports.stores.s3 import S3Store
from engine.ports.stores.s3_failures import of_answer

KEY = "talos-operator-etcd-backups/cp/etcd-snapshot-2026-11-28T10-00-00Z.db"
LARGE = random.Random(7).randbytes(11 << 20)
DIGEST = hashlib.sha256(LARGE).hexdigest()
STEPS = ["CreateMultipartUpload", "UploadPart", "PutObject", "CompleteMultipartUpload"]
"""What one upload in parts asks for; PutObject is the digest beside it."""

PASSING = {
    "500": says(500, "InternalError"),
    "503 SlowDown": says(503, "SlowDown"),
    "503": says(503),
    "307": says(307, "TemporaryRedirect"),
    "cut before": cut_before,
    "cut after": cut_after,
    "flipped": flipped,
    "shortened": shortened,
}
LASTING = {
    "403": (says(403, "AccessDenied"), Denied, "AccessDenied"),
    "signature": (says(403, "SignatureDoesNotMatch"), Denied, "WrongCredentials"),
    "bucket": (says(404, "NoSuchBucket"), Refused, "NoSuchBucket"),
    "301": (says(301, "PermanentRedirect", x_amz_bucket_region="us-west-2"), Refused, "WrongRegion"),
    "region": (says(400, "AuthorizationHeaderMalformed"), Refused, "WrongRegion"),
    "501": (says(501, "NotImplemented"), Refused, "NotImplemented"),
    "409": (says(409, "OperationAborted"), RemoteError, "Conflict"),
}


def upload(store, data=LARGE, stop=None):
    with store.upload(KEY, stop) as going:
        for start in range(0, len(data), 1 << 20):
            going.write(data[start : start + (1 << 20)])
        going.complete(hashlib.sha256(data).hexdigest())


def files(bucket):
    return {key: data for key, data in bucket.objects().items() if not key.endswith(".sha256")}


EACH_ONCE = [
    *(("UploadPart", fault) for fault in PASSING),
    *(("CompleteMultipartUpload", fault) for fault in PASSING),
    *(
        (step, fault)
        for step in ("CreateMultipartUpload", "PutObject", "HeadObject")
        for fault in ("503", "cut after")
    ),
    ("PutObject", "flipped"),
]


@pytest.mark.parametrize(("step", "fault"), EACH_ONCE)
def test_one_failure_that_passes_does_not_end_an_upload(bucket, s3, step, fault):
    bucket.between.next(step, PASSING[fault])
    upload(s3)
    assert files(bucket) == {KEY: LARGE}
    assert s3.stat(KEY).sha256 == DIGEST
    # The answer to the one that begins may be lost, and its id with it; that one is taken back all the same.
    assert bucket.open_uploads() == []


@pytest.mark.parametrize(
    ("step", "fault"),
    [
        *(("UploadPart", fault) for fault in LASTING),
        *((step, "403") for step in ("CreateMultipartUpload", "PutObject", "CompleteMultipartUpload")),
        ("CompleteMultipartUpload", "409"),
    ],
)
def test_a_failure_that_lasts_is_told_and_leaves_nothing_published(bucket, s3, step, fault):
    failure, kind, code = LASTING[fault]
    bucket.between.next(step, *[failure] * (2 * s3_upload.ATTEMPTS))
    with pytest.raises(kind) as caught:
        upload(s3)
    assert caught.value.code == code
    assert files(bucket) == {}
    assert bucket.open_uploads() == []
    assert s3.stat(KEY) is None


@pytest.mark.parametrize("step", STEPS)
def test_a_store_that_stays_overloaded_is_told_as_that(bucket, s3, step):
    bucket.between.next(step, *[says(503, "SlowDown", retry_after="0")] * (2 * s3_upload.ATTEMPTS))
    with pytest.raises(Throttled) as caught:
        upload(s3)
    assert caught.value.retryable
    assert bucket.between.asked(step) >= s3_upload.ATTEMPTS
    assert files(bucket) == {}


def test_a_failure_inside_an_ok_is_a_failure(bucket, s3):
    bucket.between.next("CompleteMultipartUpload", *[error_in_ok] * s3_upload.ATTEMPTS)
    with pytest.raises(OutcomeUnknown):
        upload(s3)
    assert files(bucket) == {}
    assert bucket.open_uploads() == []


def test_an_answer_that_cannot_be_understood_is_told_as_that(bucket, s3):
    bucket.between.next("ListObjects", garbage)
    with pytest.raises(RemoteError):
        list(s3.list(""))
    bucket.between.next("HeadObject", says(200))
    with pytest.raises(Garbled):
        s3.stat(KEY)
    bucket.between.next("CreateMultipartUpload", *[portal] * s3_upload.ATTEMPTS)
    with pytest.raises(RemoteError):
        upload(s3)
    assert files(bucket) == {}


def test_bytes_that_change_on_the_way_are_noticed_by_the_store(bucket, s3):
    bucket.between.next("UploadPart", *[flipped] * (2 * s3_upload.ATTEMPTS))
    with pytest.raises(Garbled) as caught:
        upload(s3)
    assert caught.value.code == "BadDigest"
    assert files(bucket) == {}
    assert bucket.open_uploads() == []


def test_a_completion_whose_answer_is_always_lost_is_whole_and_vouched_for(bucket, s3):
    bucket.between.next("CompleteMultipartUpload", cut_after, says(500, "InternalError"))
    upload(s3)
    assert files(bucket) == {KEY: LARGE}
    assert s3.stat(KEY).sha256 == DIGEST


def test_what_a_crash_left_open_is_found_and_taken_back(bucket, s3, monkeypatch):
    going = s3.upload(KEY)
    going.write(LARGE)
    going._send_rest()
    assert len(bucket.open_uploads()) == 1
    # A process that was killed ends nothing: what it still held in memory is gone.
    monkeypatch.setattr(s3_upload, "_live", set())
    assert s3.abort_open("talos-operator-etcd-backups/other/") == 0
    assert s3.abort_open("talos-operator-etcd-backups/cp/") == 1
    assert bucket.open_uploads() == []
    going._stop_sending()


def test_an_abort_that_fails_is_made_up_for_later(bucket, s3, caplog):
    bucket.between.next("AbortMultipartUpload", says(500, "InternalError"))
    with s3.upload(KEY) as going:
        going.write(LARGE)
    assert "could not be taken back" in caplog.text
    assert len(bucket.open_uploads()) == 1
    assert s3.abort_open(KEY) == 1
    assert bucket.open_uploads() == []


def test_deleting_takes_back_what_was_begun_too(bucket, s3, monkeypatch):
    going = s3.upload(KEY)
    going.write(LARGE)
    going._send_rest()
    monkeypatch.setattr(s3_upload, "_live", set())
    s3.delete(KEY)
    assert bucket.open_uploads() == []
    going._stop_sending()


def test_a_digest_of_another_upload_vouches_for_nothing(bucket, s3):
    upload(s3)
    # What a crash between the digest and the completion of the next upload leaves.
    s3.vouch(KEY, "0" * 64, "another upload")
    found = s3.stat(KEY)
    assert (found.size, found.sha256) == (len(LARGE), None)


def test_what_another_program_stored_has_no_digest(bucket, s3):
    bucket.ask("PUT", f"/{BUCKET}/{KEY}", b"by an older operator")
    assert s3.stat(KEY).sha256 is None


@pytest.mark.parametrize("fault", [cut_before, short_answer])
def test_a_read_that_ends_early_is_an_error(bucket, s3, fault):
    s3.put(KEY, b"x" * 100_000)
    bucket.between.next("GetObject", fault)
    with pytest.raises(OutcomeUnknown):
        b"".join(s3.read(KEY))


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (says(403), Denied),
        (says(500), OutcomeUnknown),
        (says(503), Throttled),
        (says(301, x_amz_bucket_region="us-west-2"), Refused),
        (cut_before, OutcomeUnknown),
    ],
)
def test_a_look_that_fails_is_no_absence(bucket, s3, failure, kind):
    bucket.between.next("HeadObject", failure, failure)
    with pytest.raises(kind):
        s3.stat(KEY)


def test_a_bucket_elsewhere_is_told_with_its_region(bucket, s3):
    bucket.between.next("PutObject", *[says(301, "PermanentRedirect", x_amz_bucket_region="us-west-2")] * 2)
    with pytest.raises(Refused, match="us-west-2"):
        s3.put(KEY, b"x")


def test_a_bucket_that_is_not_there_is_told(bucket):
    with pytest.raises(Refused) as caught:
        S3Store(replace(bucket.place, bucket="another")).put(KEY, b"x")
    assert caught.value.code == "NoSuchBucket"


def test_a_store_that_says_nothing_is_given_up(bucket, monkeypatch):
    monkeypatch.setattr(s3_module, "_READ_S", 0.3)
    gate = threading.Event()
    bucket.between.next("HeadObject", lambda _: gate.wait(10))
    try:
        with pytest.raises(OutcomeUnknown) as caught:
            S3Store(bucket.place).stat(KEY)
        assert caught.value.code == "Timeout"
    finally:
        gate.set()


def test_a_store_that_is_not_there_is_told(bucket):
    with pytest.raises(Unreachable) as caught:
        S3Store(replace(bucket.place, endpoint=f"https://{HOST}:1")).stat(KEY)
    assert caught.value.sent == "no"


def test_a_certificate_of_strangers_is_not_trusted_unless_told_so(bucket, tmp_path):
    stranger = certificates.make_authority("p256", "strangers", now=time.time() - 60)
    for authority in ("", stranger.crt):
        with pytest.raises(Unreachable) as caught:
            S3Store(replace(bucket.place, authority=authority)).stat(KEY)
        assert caught.value.code == "BadCertificate"
    assert S3Store(replace(bucket.place, authority="", skip_verify=True)).stat(KEY) is None


def test_setting_stop_ends_the_trying(bucket, s3, monkeypatch):
    monkeypatch.setattr(s3_upload, "FIRST_WAIT_S", 60.0)
    monkeypatch.setattr(s3_upload, "LONGEST_WAIT_S", 60.0)
    stop = threading.Event()
    bucket.between.next("UploadPart", *[says(500)] * 8)
    threading.Timer(0.3, stop.set).start()
    started = time.monotonic()
    with pytest.raises(OutcomeUnknown):
        upload(s3, stop=stop)
    assert time.monotonic() - started < 30
    assert bucket.open_uploads() == []


def test_buckets_of_an_endpoint_are_part_of_the_path_and_the_signature_covers_the_body(bucket, s3):
    upload(s3)
    for operation, request in bucket.between.requests:
        line, _, headers = request.partition("\n")
        assert line.split()[1].startswith(f"/{BUCKET}"), operation
        assert re.search(rf"Credential={ACCESS}/\d{{8}}/eu-central-1/s3/", headers), operation
        assert re.search(r"(?i)x-amz-content-sha256: [0-9a-f]{64}\s", headers), operation


def test_the_environment_of_other_tools_changes_nothing(bucket, monkeypatch, tmp_path):
    (tmp_path / "config").write_text("[profile other]\nregion = mars-1\n")
    for name, value in {
        "AWS_PROFILE": "nobody",
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_ENDPOINT_URL": "https://127.0.0.1:1",
        "AWS_ENDPOINT_URL_S3": "https://127.0.0.1:1",
        "AWS_ACCESS_KEY_ID": "OTHER",
        "AWS_SECRET_ACCESS_KEY": "other",
        "AWS_SESSION_TOKEN": "other",
        "AWS_REGION": "mars-1",
        "AWS_DEFAULT_REGION": "mars-1",
        "AWS_CA_BUNDLE": str(tmp_path / "none"),
    }.items():
        monkeypatch.setenv(name, value)
    assert S3Store(bucket.place).stat(KEY) is None
    assert "OTHER" not in bucket.between.requests[-1][1]
    assert "security-token" not in bucket.between.requests[-1][1].lower()


def test_no_secret_is_told_in_errors_logs_or_requests(bucket, s3, caplog):
    caplog.set_level(logging.DEBUG)
    echo = says(403, "SignatureDoesNotMatch", f"{ACCESS} signed with {SECRET}\n and {'x' * 1000}")
    told = [repr(bucket.place), repr(s3_upload.Target(None, "b", "s", (SECRET,)))]
    for step, act in {
        "PutObject": lambda: s3.put(KEY, b"x"),
        "CreateMultipartUpload": lambda: upload(s3),
        "ListObjects": lambda: list(s3.list("")),
        "DeleteObject": lambda: s3.delete(KEY),
    }.items():
        bucket.between.next(step, echo)
        with pytest.raises(Denied) as caught:
            act()
        told += [str(caught.value), repr(caught.value)]
    upload(s3)
    told += [caplog.text, *(request for _, request in bucket.between.requests)]
    assert [text for text in told if SECRET in text] == []
    assert [text for text in told[:-1] if f"{ACCESS} signed" in text] == []
    assert max(len(text) for text in told[2:6]) < 500


@pytest.mark.parametrize("seed", range(200))
def test_whatever_a_store_says_is_an_error_of_ours_without_line_ends(seed):
    draw = random.Random(seed)
    words = ["SlowDown", "NoSuchKey", "X" * 5000, "", "404", "\n\x00", SECRET]
    answer = {
        "Error": {"Code": draw.choice(words), "Message": draw.choice(words) * draw.randrange(3)},
        "ResponseMetadata": {
            "HTTPStatusCode": draw.choice([0, 200, 301, 307, 400, 403, 404, 409, 429, 500, 503, 599]),
            "HTTPHeaders": {"retry-after": draw.choice(["", "5", "x", "9" * 30])},
        },
    }
    error = of_answer(answer, "PutObject", "a store", (SECRET,))
    assert isinstance(error, RemoteError)
    assert SECRET not in str(error)
    assert "\n" not in str(error)
    assert len(str(error)) < 1000
    if isinstance(error, Missing):
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 404 or answer["Error"]["Code"] == "NoSuchKey"
