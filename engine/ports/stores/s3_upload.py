"""Send a file of unknown size to an object store: in parts of 8 MiB, by two threads, in bounded memory.

Three parts are held at most, whatever the store's speed. What fits in one part never becomes an upload in
parts. A part that fails is sent again a few times; the upload is completed once, after its digest was compared.
Neighbours: `s3` makes it, puts small objects and vouches for large ones.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeVar

from engine.base.errors import Conflict, Denied, Garbled, RemoteError
from engine.ports.stores.contract import Bytes, Upload
from engine.ports.stores.s3_failures import failures
from engine.ports.stores.threads import Threads

T = TypeVar("T")

log = logging.getLogger(__name__)

PART: Final = 8 << 20
THREADS: Final = 2
BUFFERS: Final = THREADS + 1
ATTEMPTS: Final = 4
FIRST_WAIT_S: Final = 0.5
LONGEST_WAIT_S: Final = 10.0
_GLANCE_S: Final = 0.2
UPLOAD: Final = "upload"
"""The metadata of an object that was uploaded in parts: a name of this one upload."""

_live: set[str] = set()
_lock = threading.Lock()


def is_live(upload: str) -> bool:
    """Whether this process is still sending to the upload of that id."""
    with _lock:
        return upload in _live


class Bucket(Protocol):
    """What an upload needs of the store beside its parts."""

    def put_whole(self, key: str, data: bytes, sha256: str) -> None: ...

    def vouch(self, key: str, sha256: str, upload: str) -> None: ...

    def settle(self, key: str, sha256: str, upload: str, size: int) -> bool: ...

    def abort_open(self, prefix: str) -> int: ...


@dataclass(frozen=True, slots=True)
class Target:
    """A connected bucket; `secrets` are kept out of every message."""

    client: Any
    bucket: str
    source: str
    secrets: tuple[str, ...] = field(repr=False)

    def failures(self, operation: str) -> AbstractContextManager[None]:
        """Within, what goes wrong is a RemoteError."""
        return failures(operation, self.source, self.secrets)

    def abort(self, key: str, upload: str) -> None:
        """Take an upload back; one that is gone is taken back."""
        try:
            with self.failures("AbortMultipartUpload"):
                self.client.abort_multipart_upload(Bucket=self.bucket, Key=key, UploadId=upload)
        except Conflict:
            return


class S3Upload(Upload):
    """One upload. `stop` set: what waits ends with the error that made it wait."""

    def __init__(self, target: Target, key: str, bucket: Bucket, stop: threading.Event | None = None) -> None:
        self._target, self._key, self._bucket = target, key, bucket
        self._stop, self._aborted = stop or threading.Event(), threading.Event()
        self._token = uuid.uuid4().hex
        self._id = ""
        self._hash = hashlib.sha256()
        self._size = 0
        self._buffer = bytearray(PART)
        self._filled = 0
        self._made = 1
        self._pending: deque[tuple[Future[str], bytearray]] = deque()
        self._tags: list[str] = []
        self._threads = Threads(THREADS, "store-part")
        self._open = True
        self._maybe_begun = False

    def write(self, data: Bytes) -> None:
        left = memoryview(data)
        while left:
            if self._filled == PART:
                self._flush()
            taken = left[: PART - self._filled]
            self._buffer[self._filled : self._filled + len(taken)] = taken
            self._filled += len(taken)
            left = left[len(taken) :]

    def complete(self, sha256: str) -> None:
        if not self._id:
            data = bytes(memoryview(self._buffer)[: self._filled])
            self._check(hashlib.sha256(data).hexdigest(), sha256)
            self._again(lambda: self._bucket.put_whole(self._key, data, sha256))
        else:
            self._send_rest()
            self._check(self._hash.hexdigest(), sha256)
            self._again(lambda: self._bucket.vouch(self._key, sha256, self._token))
            self._publish(sha256)
        self._end()

    def abort(self) -> None:
        if not self._open:
            return
        self._stop_sending()
        try:
            if self._id:
                self._target.abort(self._key, self._id)
        except RemoteError as error:
            log.warning("an upload that was begun could not be taken back: %s", error)
        self._end()

    def _check(self, written: str, promised: str) -> None:
        if written != promised:
            text = f"{self._key}: what was written has another digest than was promised"
            raise Garbled(text, source=self._target.source, operation="complete", sent="no", code="BadDigest")

    def _flush(self) -> None:
        """Hand the buffer to a thread and take an empty one, when there is one."""
        if not self._id:
            self._id = self._again(self._begin)
            with _lock:
                _live.add(self._id)
        whole = self._filled == PART
        body = self._buffer if whole else bytes(memoryview(self._buffer)[: self._filled])
        number = len(self._tags) + len(self._pending) + 1
        self._pending.append((self._threads.submit(lambda: self._send(number, body)), self._buffer))
        self._hash.update(body)
        self._size += self._filled
        self._filled = 0
        if self._made < BUFFERS:
            self._made += 1
            self._buffer = bytearray(PART)
        else:
            self._buffer = self._first_sent()

    def _first_sent(self) -> bytearray:
        future, buffer = self._pending[0]
        self._tags.append(future.result())
        self._pending.popleft()
        return buffer

    def _send_rest(self) -> None:
        if self._filled:
            self._flush()
        while self._pending:
            self._first_sent()

    def _begin(self) -> str:
        """The id of a new upload; one whose id was lost with its answer is taken back before."""
        if self._maybe_begun:
            self._take_back_unknown()
        try:
            with self._target.failures("CreateMultipartUpload"):
                made = self._target.client.create_multipart_upload(
                    Bucket=self._target.bucket, Key=self._key, Metadata={UPLOAD: self._token}
                )
                return str(made["UploadId"])
        except RemoteError as error:
            self._maybe_begun = self._maybe_begun or error.sent != "no"
            raise

    def _take_back_unknown(self) -> None:
        try:
            self._bucket.abort_open(self._key)
        except Denied as error:
            log.warning("what was begun without an answer cannot be looked for: %s", error)

    def _send(self, number: int, body: Bytes) -> str:
        def once() -> str:
            with self._target.failures("UploadPart"):
                sent = self._target.client.upload_part(
                    Bucket=self._target.bucket,
                    Key=self._key,
                    UploadId=self._id,
                    PartNumber=number,
                    Body=body,
                )
                return str(sent["ETag"])

        return self._again(once)

    def _publish(self, sha256: str) -> None:
        parts = [{"PartNumber": number, "ETag": tag} for number, tag in enumerate(self._tags, 1)]

        def once() -> None:
            try:
                with self._target.failures("CompleteMultipartUpload"):
                    self._target.client.complete_multipart_upload(
                        Bucket=self._target.bucket,
                        Key=self._key,
                        UploadId=self._id,
                        MultipartUpload={"Parts": parts},
                    )
            except Conflict:
                # The answer to an earlier try may have been lost: then the object is there.
                if not self._bucket.settle(self._key, sha256, self._token, self._size):
                    raise

        self._again(once)
        self._again(lambda: self._bucket.settle(self._key, sha256, self._token, self._size))

    def _again(self, once: Callable[[], T]) -> T:
        """Do it, a few times if that may help; raises RemoteError, the last one."""
        for attempt in range(1, ATTEMPTS):
            try:
                return once()
            except RemoteError as error:
                wait_s = max(error.retry_after_s or 0.0, FIRST_WAIT_S * 2 ** (attempt - 1))
                if not error.retryable or self._ends_within(min(wait_s, LONGEST_WAIT_S)):
                    raise
        return once()

    def _ends_within(self, seconds: float) -> bool:
        """Wait; whether the upload is to end meanwhile."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if self._stop.is_set() or self._aborted.wait(min(left, _GLANCE_S)):
                return True
        return self._stop.is_set()

    def _stop_sending(self) -> None:
        self._aborted.set()
        for future, _ in self._pending:
            future.cancel()
        wait([future for future, _ in self._pending])

    def _end(self) -> None:
        self._open = False
        self._threads.close()
        self._pending.clear()
        self._buffer = bytearray()
        with _lock:
            _live.discard(self._id)
