"""A store in a bucket of an object store that speaks S3. Needs the extra `s3`, which brings boto3.

Small files are put at once, their digest in the object's metadata. What grows is uploaded in parts and
completed last; its digest, known only then, stands in an object beside it that names the upload, so it vouches for
no other content. Nothing of the environment of AWS's tools is used but a proxy and the system's certificates. Never retries but parts.
Neighbours: `s3_upload` sends the parts, `s3_failures` words the errors, `s3place` says where.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import warnings
import weakref
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import boto3
import botocore.session
from botocore.config import Config
from botocore.loaders import create_loader

from engine.base.errors import Garbled, Missing
from engine.ports.stores.contract import (
    DIGEST_SUFFIX,
    Stored,
    checked_key,
    checked_prefix,
    digest_text,
)
from engine.ports.stores.s3_upload import UPLOAD, S3Upload, Target, is_live
from engine.ports.stores.s3place import S3Place

_CONNECT_S: Final = 5.0
_READ_S: Final = 20.0
_CHUNK: Final = 1 << 20
_CONNECTIONS: Final = 8
DIGEST: Final = "sha256"
_NO_ENVIRONMENT: Final = {
    # Setting -> where botocore looks for it: (key of its file, environment variable, value, conversion).
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
}
_MODELS: Final = create_loader(None)
"""What botocore knows of S3. Read once for all clients: 13 MiB and 60 ms of CPU that each would cost again."""


class _Head(NamedTuple):
    size: int
    modified: float
    metadata: Mapping[str, str]


class S3Store:
    """One bucket. Raises CapabilityError or RemoteError from its methods, never from being made."""

    def __init__(self, place: S3Place) -> None:
        self._bucket = place.bucket
        authority = _in_memory(place.authority) if place.authority else None
        if authority is not None:
            weakref.finalize(self, os.close, authority)
        client = _client(place, authority)
        weakref.finalize(self, client.close)
        self._target = Target(client, place.bucket, place.source, place.secrets)

    def stat(self, key: str) -> Stored | None:
        found = self._head(checked_key(key))
        if found is None:
            return None
        digest, upload = found.metadata.get(DIGEST), found.metadata.get(UPLOAD)
        if digest is None and upload:
            beside = self._head(key + DIGEST_SUFFIX)
            if beside is not None and beside.metadata.get(UPLOAD) == upload:
                digest = beside.metadata.get(DIGEST)
        return Stored(key, found.size, digest, found.modified)

    def upload(self, key: str, stop: threading.Event | None = None) -> S3Upload:
        return S3Upload(self._target, checked_key(key), self, stop)

    def put(self, key: str, data: bytes) -> None:
        self.put_whole(checked_key(key), data, hashlib.sha256(data).hexdigest())

    def put_whole(self, key: str, data: bytes, sha256: str) -> None:
        """One request: the object with its digest."""
        self._put(key, data, {DIGEST: sha256})

    def vouch(self, key: str, sha256: str, upload: str) -> None:
        """Say beside the object that the content of this upload has this digest."""
        text = digest_text(sha256, key.rpartition("/")[2])
        self._put(key + DIGEST_SUFFIX, text.encode(), {DIGEST: sha256, UPLOAD: upload})

    def settle(self, key: str, sha256: str, upload: str, size: int) -> bool:
        """Whether the object is that upload's, as it was sent; who completes last vouches last."""
        found = self._head(key)
        if found is None or found.metadata.get(UPLOAD) != upload:
            return False
        if found.size != size:
            text = f"{key}: the store has {found.size} of {size} bytes"
            raise Garbled(
                text, source=self._target.source, operation="complete", sent="yes", code="Incomplete"
            )
        beside = self._head(key + DIGEST_SUFFIX)
        if beside is None or beside.metadata.get(UPLOAD) != upload:
            self.vouch(key, sha256, upload)
        return True

    def read(self, key: str) -> Iterator[bytes]:
        with self._target.failures("GetObject"):
            body = self._target.client.get_object(Bucket=self._bucket, Key=checked_key(key))["Body"]
            try:
                yield from body.iter_chunks(_CHUNK)
            finally:
                body.close()

    def list(self, prefix: str) -> Iterator[Stored]:
        with self._target.failures("ListObjects"):
            pages = self._target.client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self._bucket, Prefix=checked_prefix(prefix)):
                for item in page.get("Contents") or ():
                    if not item["Key"].endswith((DIGEST_SUFFIX, "/")):
                        yield Stored(item["Key"], item["Size"], None, item["LastModified"].timestamp())

    def delete(self, key: str) -> None:
        self.abort_open(checked_key(key))
        for each in (key, key + DIGEST_SUFFIX):
            try:
                with self._target.failures("DeleteObject"):
                    self._target.client.delete_object(Bucket=self._bucket, Key=each)
            except Missing:
                continue

    def abort_open(self, prefix: str) -> int:
        aborted = 0
        for key, upload in self._begun(checked_prefix(prefix)):
            if not is_live(upload):
                self._target.abort(key, upload)
                aborted += 1
        return aborted

    def _begun(self, prefix: str) -> Iterator[tuple[str, str]]:
        """(key, id) of every upload that was begun and not ended."""
        with self._target.failures("ListMultipartUploads"):
            pages = self._target.client.get_paginator("list_multipart_uploads")
            found = pages.paginate(Bucket=self._bucket, Prefix=prefix)
            begun = [item for page in found for item in page.get("Uploads") or ()]
        return ((item["Key"], item["UploadId"]) for item in begun if item["Key"].startswith(prefix))

    def _head(self, key: str) -> _Head | None:
        try:
            with self._target.failures("HeadObject"):
                found = self._target.client.head_object(Bucket=self._bucket, Key=key)
                modified = found["LastModified"].timestamp()
                return _Head(int(found["ContentLength"]), modified, found.get("Metadata") or {})
        except Missing:
            return None

    def _put(self, key: str, data: bytes, metadata: dict[str, str]) -> None:
        with self._target.failures("PutObject"):
            self._target.client.put_object(Bucket=self._bucket, Key=key, Body=data, Metadata=metadata)


def _client(place: S3Place, authority: int | None) -> Any:
    """A client that knows what it was told and nothing else."""
    for name in ("boto3", "botocore", "s3transfer"):
        # At their most talkative they tell headers and signatures.
        logging.getLogger(name).setLevel(logging.WARNING)
    if place.skip_verify:
        warnings.filterwarnings("ignore", message="Unverified HTTPS request", category=Warning)
    core = botocore.session.Session(session_vars=_NO_ENVIRONMENT)
    core.register_component("data_loader", _MODELS)
    verify: bool | str | None = not place.skip_verify
    if authority is not None and not place.skip_verify:
        verify = f"/proc/self/fd/{authority}"
    return boto3.session.Session(
        aws_access_key_id=place.access_key,
        aws_secret_access_key=place.secret_key,
        aws_session_token=place.session_token or None,
        region_name=place.region,
        botocore_session=core,
    ).client("s3", endpoint_url=place.endpoint or None, verify=verify, config=_config(place))


def _config(place: S3Place) -> Config:
    return Config(
        signature_version="s3v4",
        connect_timeout=_CONNECT_S,
        read_timeout=_READ_S,
        max_pool_connections=_CONNECTIONS,
        retries={"total_max_attempts": 1, "mode": "standard"},
        ignore_configured_endpoint_urls=True,
        # What other stores than AWS do not know is not asked of them; the signature covers the content.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={
            "addressing_style": "path" if place.endpoint else "auto",
            "payload_signing_enabled": True,
            "us_east_1_regional_endpoint": "regional",
        },
    )


def _in_memory(text: str) -> int:
    """A descriptor of a file that holds the text and is on no disk."""
    file = os.memfd_create("authority")
    os.write(file, text.encode())
    return file
