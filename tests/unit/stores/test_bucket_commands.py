"""`talos-operator backup list` and `verify` of a bucket, without a cluster: who we are there, and what is told."""

from __future__ import annotations

import hashlib
import json
import os

import pytest
from click.testing import CliRunner
from s3_server import ACCESS, BUCKET, HOST, OWN, REGION, SECRET, cut_after, says, short_answer

from engine.cli.program import execute, program
from engine.machineconfig import certificates
from engine.ports.stores.s3 import S3Store
from engine.simulator import etcd
from engine.simulator.database import database_pages

FOLDER = "talos-operator-etcd-backups/prod"
WHOLE, CUT = f"{FOLDER}/etcd-snapshot-1.db", f"{FOLDER}/etcd-snapshot-2.db"
TOKEN = "a-session-token-of-hours"


def snapshot():
    known = etcd.form("demo", etcd.Member(etcd.new_member_id(), "first", "127.0.0.1"))
    body = b"".join(database_pages(etcd.put(known, "/a", "b"), 64 << 10))
    return body + hashlib.sha256(body).digest()


@pytest.fixture
def flags(bucket, tmp_path):
    """The flags of a bucket that holds a whole snapshot, a cut one and keys."""
    store = S3Store(bucket.place)
    store.put(WHOLE, snapshot())
    store.put(CUT, snapshot()[:-1])
    store.put(f"{FOLDER}/state-1.yaml", b"keys")
    store.put("another/thing.db", b"of somebody else's")
    files = {"access": ACCESS + "\n", "secret": SECRET + "\n", "ca": OWN.crt}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    bucket.between.quiet()
    return [
        *("--s3-endpoint", bucket.between.url, "--s3-region", REGION, "--s3-ca-file", str(tmp_path / "ca")),
        *("--s3-access-key-file", str(tmp_path / "access")),
        *("--s3-secret-key-file", str(tmp_path / "secret")),
    ]


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    """No settings of AWS's tools but those of the test."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    return monkeypatch


def call(*arguments):
    return CliRunner().invoke(program, ["backup", *arguments], standalone_mode=False)


def told(capfd, *arguments):
    """The error of a command that fails, which never holds a secret."""
    code = execute(["backup", *arguments])
    out, err = capfd.readouterr()
    assert code != 0
    for secret in (ACCESS, SECRET, TOKEN):
        assert secret not in out + err
    return err


def test_the_snapshots_of_a_bucket_are_listed_and_verified_without_a_cluster(flags):
    listed = call("list", "--store", f"s3://{BUCKET}/{FOLDER}", *flags)
    assert (listed.return_value, listed.exception) == (0, None)
    assert [line.split()[0] for line in listed.output.splitlines()[1:]] == [WHOLE, CUT]
    judged = call("list", "--store", f"s3://{BUCKET}/{FOLDER}", "--verify", "-o", "json", *flags)
    states = {item["key"]: item["state"] for item in json.loads(judged.output)["items"]}
    assert judged.return_value == 1
    assert states[WHOLE] == "whole"
    assert "the digest at its end is missing or cut" in states[CUT]
    everything = call("list", "--store", f"s3://{BUCKET}", *flags)
    assert "another/thing.db" in everything.output


def test_one_snapshot_of_a_bucket_is_verified_by_its_address(flags, capfd):
    address = f"s3://{BUCKET}/{WHOLE}"
    shown = call("verify", address, *flags)
    assert shown.output.startswith(f"{address}: whole, 64.0 KiB")
    assert f"in s3://{BUCKET}/{CUT}" in told(capfd, "verify", f"s3://{BUCKET}/{CUT}", *flags)


def test_variables_of_awss_tools_say_who_we_are_where_flags_do_not(flags, bucket, environment, tmp_path):
    environment.setenv("AWS_ACCESS_KEY_ID", ACCESS)
    environment.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    environment.setenv("AWS_SESSION_TOKEN", TOKEN)
    environment.setenv("AWS_ENDPOINT_URL_S3", bucket.between.url)
    environment.setenv("AWS_CA_BUNDLE", str(tmp_path / "ca"))
    environment.setenv("AWS_DEFAULT_REGION", REGION)
    listed = call("list", "--store", f"s3://{BUCKET}")
    assert listed.exception is None
    assert WHOLE in listed.output
    (_, request), *_ = bucket.between.requests
    assert f"{ACCESS}/" in request
    assert f"/{REGION}/s3" in request
    assert f"x-amz-security-token: {TOKEN}" in request.lower()


def test_a_profile_of_awss_tools_says_who_we_are_and_flags_come_first(flags, bucket, environment, tmp_path):
    (tmp_path / "credentials").write_text(
        f"[backups]\naws_access_key_id = {ACCESS}\naws_secret_access_key = {SECRET}\n"
    )
    (tmp_path / "config").write_text(
        f"[profile backups]\nregion = us-west-2\nendpoint_url = {bucket.between.url}\nca_bundle = {tmp_path}/ca\n"
    )
    environment.setenv("AWS_PROFILE", "backups")
    listed = call("list", "--store", f"s3://{BUCKET}", "--s3-region", REGION)
    assert listed.exception is None
    assert WHOLE in listed.output
    assert f"/{REGION}/s3" in bucket.between.requests[0][1]


def test_a_certificate_that_nobody_vouches_for_is_taken_only_when_it_is_said(flags, tmp_path, capfd):
    ours = flags.index("--s3-ca-file")
    foreign = certificates.make_authority("p256", "foreign", now=0.0)
    (tmp_path / "foreign").write_text(foreign.crt)
    flags[ours + 1] = str(tmp_path / "foreign")
    said = told(capfd, "list", "--store", f"s3://{BUCKET}", *flags)
    assert "its certificate cannot be trusted" in said
    assert "hint: --s3-ca-file FILE names the authority" in said
    listed = call("list", "--store", f"s3://{BUCKET}", "--s3-skip-verify", *flags)
    assert (listed.exception, WHOLE in listed.output) == (None, True)


@pytest.mark.parametrize(
    ("operation", "fault", "says_what", "hint"),
    [
        (
            "ListObjects",
            says(403, "SignatureDoesNotMatch"),
            "is not that of the key ID",
            "are the credentials right",
        ),
        ("ListObjects", says(404, "NoSuchBucket"), "there is no such bucket", "behind s3://"),
        ("ListObjects", says(503, "SlowDown"), "slow down", "try again"),
        ("ListObjects", cut_after, "ended before the answer", "try again"),
    ],
)
def test_what_a_store_says_is_told_with_the_bucket_and_what_to_do(
    flags, bucket, capfd, operation, fault, says_what, hint
):
    bucket.between.next(operation, fault)
    said = told(capfd, "list", "--store", f"s3://{BUCKET}/{FOLDER}", *flags)
    assert says_what in said
    assert f"\n  in s3://{BUCKET}/{FOLDER}\n" in said
    assert hint in said.rpartition("hint:")[2]


@pytest.mark.parametrize(
    ("fault", "says_what"), [(short_answer, "ended"), (says(403), "refuses these credentials")]
)
def test_a_snapshot_that_cannot_be_read_is_not_called_whole(flags, bucket, capfd, fault, says_what):
    bucket.between.next("GetObject", fault)
    assert says_what in told(capfd, "verify", f"s3://{BUCKET}/{WHOLE}", *flags)
    assert "no such object" in told(capfd, "verify", f"s3://{BUCKET}/{FOLDER}/nothing.db", *flags)


@pytest.mark.parametrize(
    ("arguments", "says_what"),
    [
        (
            ["list", "--store", f"s3://{BUCKET}", "--s3-endpoint", "https://127.0.0.1:1"],
            "no credentials are known",
        ),
        (["list", "--store", BUCKET], "write it like s3://BUCKET"),
        (["list", "--store", "s3://"], "write it like s3://BUCKET"),
        (["list", "--store", "s3://a", "--directory", "."], "name two stores"),
        (["list", "--verify"], "--verify reads a store"),
        (["verify", f"s3://{BUCKET}"], "names no object"),
        (["verify", "not-there.db"], "not-there.db"),
        (["list", "--store", "s3://a", "--s3-secret-key-file", __file__], "belong together"),
    ],
)
def test_a_command_that_cannot_be_carried_out_says_why(capfd, arguments, says_what):
    assert says_what in told(capfd, *arguments)


def test_a_store_that_is_not_there_is_told_with_its_host(flags, capfd):
    flags[1] = f"https://{HOST}:1"
    said = told(capfd, "list", "--store", f"s3://{BUCKET}", *flags)
    assert "it cannot be reached" in said
    assert "is --s3-endpoint right" in said


def test_a_profile_that_is_not_there_is_named(capfd, environment):
    environment.setenv("AWS_PROFILE", "nobody")
    said = told(capfd, "list", "--store", f"s3://{BUCKET}")
    assert "nobody" in said
