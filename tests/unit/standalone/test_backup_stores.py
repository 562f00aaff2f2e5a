"""A backup names exactly one store and at most one way of encrypting; what the older operator takes is taken."""

from __future__ import annotations

import pytest

BACKUPS = "/apis/talos.alperen.cloud/v1alpha1/namespaces/default/talosetcdbackups"
SCHEDULES = "/apis/talos.alperen.cloud/v1alpha1/namespaces/default/talosetcdbackupschedules"
KEY = {"name": "s3", "key": "id"}
S3 = {"bucket": "b", "region": "r", "accessKeyID": KEY, "secretAccessKey": KEY}
WRONG = [
    ({}, None, "exactly one of s3 and directory"),
    ({"s3": S3, "directory": {"path": "a"}}, None, "exactly one of s3 and directory"),
    ({"s3": S3}, {}, "exactly one of recipients and passphrase"),
    ({"s3": S3}, {"recipients": ["age1x"], "passphrase": KEY}, "exactly one of recipients and passphrase"),
    ({"s3": S3}, {"recipients": []}, "recipients"),
]
RIGHT = [
    ({"s3": S3}, None),
    ({"s3": {**S3, "certificateAuthority": KEY, "endpoint": "https://127.0.0.1:9000"}}, None),
    ({"directory": {"path": "team-a"}}, None),
    ({"directory": {}}, {"passphrase": KEY}),
    ({"s3": S3}, {"recipients": ["age1x", "ssh-ed25519 AAAA"]}),
]


def bodies(number, storage, encryption):
    spec = {"talosControlPlaneRef": {"name": "cp"}, "backupStorage": storage}
    if encryption is not None:
        spec["encryption"] = encryption
    meta = {"apiVersion": "talos.alperen.cloud/v1alpha1", "metadata": {"name": f"stores-{number}"}}
    yield BACKUPS, {**meta, "kind": "TalosEtcdBackup", "spec": spec}
    schedule = {"schedule": "@daily", "backupTemplate": {"spec": spec}}
    yield SCHEDULES, {**meta, "kind": "TalosEtcdBackupSchedule", "spec": schedule}


@pytest.mark.parametrize("number", range(len(WRONG)))
def test_what_leaves_open_where_or_how_is_refused(shipped, number):
    storage, encryption, words = WRONG[number]
    for path, body in bodies(number, storage, encryption):
        answer = shipped.post(path, body)
        assert answer.code == 422
        assert words in str(answer.body)


@pytest.mark.parametrize("number", range(len(RIGHT)))
def test_one_store_is_taken(shipped, number):
    for path, body in bodies(number, *RIGHT[number]):
        answer = shipped.post(path, body)
        assert answer.code == 201, answer.body
