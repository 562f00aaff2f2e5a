"""Where the backups of a trial go: a folder of its own or a bucket of a real S3 server, seen and disturbed from outside.

What a place holds is asked past everything of the engine's: files, what stands half-written, uploads that are open. Each
place counts the engine's calls to it and carries out one order at one of them. Neighbours: `world` has one, `verifier` judges
what it holds, `disk` is the folder's end inside the engine.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tests.cuts.disk import Order
from tests.unit.stores import s3_server
from tests.unit.stores.s3_server import Bucket, Exchange, Fault, says

_CHANGES = frozenset(
    {"CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "AbortMultipartUpload"}
) | {"PutObject", "DeleteObject"}


def _server_error(status: int, code: str, **headers: str) -> Fault:
    return says(status, code, "as a trial ordered", **headers)


def _nothing(exchange: Exchange) -> None:
    """Not this one."""


def operation_and_number(call: str) -> tuple[str, int]:
    """`UploadPart2` in its parts."""
    operation = call.rstrip("0123456789")
    return operation, int(call[len(operation) :])


ANSWERS: Mapping[str, Fault] = {
    "403": _server_error(403, "AccessDenied"),
    "404": _server_error(404, "NoSuchKey"),
    "404-upload": _server_error(404, "NoSuchUpload"),
    "409": _server_error(409, "OperationAborted"),
    "500": _server_error(500, "InternalError"),
    "503": _server_error(503, "SlowDown", retry_after="1"),
    "301": _server_error(301, "PermanentRedirect"),
    "307": _server_error(307, "TemporaryRedirect", location="https://127.0.0.1:9/elsewhere"),
    "garbage": s3_server.garbage,
    "portal": s3_server.portal,
    "short-answer": s3_server.short_answer,
    "error-in-ok": s3_server.error_in_ok,
    "short-write": s3_server.shortened,
    "flipped": s3_server.flipped,
    "cut-before": s3_server.cut_before,
    "cut-after": s3_server.cut_after,
}
"""What a store may answer, or the way to it may do to a request."""


@dataclass
class Holding:
    """What a place holds: published files by key; the names of what is half-written; for each key that was ever begun, nothing else."""

    files: dict[str, bytes]
    unfinished: list[str]
    digests: dict[str, str] = field(default_factory=dict)
    """The SHA-256 that the store itself keeps for a file, where it does."""


class Place(Protocol):
    """`calls` are the engine's calls so far, as text; `met` those at which an order was carried out."""

    storage: Mapping[str, Any]

    def holding(self) -> Holding: ...

    def calls(self) -> list[str]: ...

    def order(self, order: Order | None, pid: Callable[[], int]) -> Mapping[str, Any]:
        """Carry this out at that call from now on; gives what the engine has to be started with."""
        ...

    def met(self) -> list[str]: ...

    def heal(self) -> None:
        """The end of a lasting fault."""
        ...

    def close(self) -> None: ...


class FolderPlace:
    """A folder below `folder`; the engine's own process counts and disturbs."""

    storage: Mapping[str, Any] = {"directory": {}}

    def __init__(self, folder: Path) -> None:
        self.root, self._log, self._full = folder / "backups", folder / "disk.log", folder / "full"
        self.root.mkdir()

    def holding(self) -> Holding:
        files, unfinished, digests = {}, [], {}
        for path in sorted(self.root.rglob("*")):
            key = str(path.relative_to(self.root))
            try:
                if path.is_dir():
                    continue
                if path.name.startswith(".") or path.name.endswith(".partial"):
                    unfinished.append(key)
                elif path.name.endswith(".sha256"):
                    digests[key.removesuffix(".sha256")] = path.read_text()[:64]
                else:
                    files[key] = path.read_bytes()
            except FileNotFoundError:
                continue  # renamed or removed meanwhile
        return Holding(files, unfinished, digests)

    def calls(self) -> list[str]:
        return self._log.read_text().splitlines() if self._log.exists() else []

    def met(self) -> list[str]:
        return [line for line in self.calls() if not line.endswith(" -")]

    def order(self, order: Order | None, pid: Callable[[], int]) -> Mapping[str, Any]:
        return {
            "root": str(self.root),
            "log": str(self._log),
            "full": str(self._full),
            "order": asdict(order) if order else None,
        }

    def heal(self) -> None:
        self._full.unlink(missing_ok=True)

    def close(self) -> None: ...


class BucketPlace:
    """A bucket behind the TLS server that counts and disturbs; `folder` is only for what the engine does not use here."""

    def __init__(self, folder: Path, moto: int) -> None:
        self._bucket = Bucket(moto)
        self._bucket.empty()
        self._idle = FolderPlace(folder)
        self._met: list[str] = []
        self._lock = threading.Lock()
        self.storage = {
            "s3": {
                "bucket": s3_server.BUCKET,
                "region": s3_server.REGION,
                "endpoint": self._bucket.between.url,
                "accessKeyID": {"name": "s3", "key": "id"},
                "secretAccessKey": {"name": "s3", "key": "key"},
                "certificateAuthority": {"name": "s3", "key": "ca.crt"},
            }
        }

    def holding(self) -> Holding:
        objects = self._bucket.objects()
        digests = {
            key.removesuffix(".sha256"): data[:64].decode()
            for key, data in objects.items()
            if key.endswith(".sha256")
        }
        files = {key: data for key, data in objects.items() if not key.endswith(".sha256")}
        return Holding(files, self._bucket.open_uploads(), digests)

    def calls(self) -> list[str]:
        counts: Counter[str] = Counter()
        told = []
        for operation, text in list(self._bucket.between.requests):
            counts[operation] += 1
            told.append(f"{operation}{counts[operation]} {text.split(maxsplit=2)[1].partition('?')[0]} -")
        return told

    def changes(self) -> int:
        """How often something was asked for that changes what the bucket holds."""
        return sum(1 for operation, _ in list(self._bucket.between.requests) if operation in _CHANGES)

    def met(self) -> list[str]:
        return list(self._met)

    def order(self, order: Order | None, pid: Callable[[], int]) -> Mapping[str, Any]:
        if order is not None:
            operation, number = operation_and_number(order.call)
            before = [_nothing] * (number - 1)
            self._bucket.between.next(operation, *before, self._fault(order, pid))
        return self._idle.order(None, pid)

    def _fault(self, order: Order, pid: Callable[[], int]) -> Fault:
        def fault(exchange: Exchange) -> None:
            self._met.append(f"{order.call} {order.does} {order.moment}")
            if order.does not in ("kill", "clock"):
                ANSWERS[order.does](exchange)
                return
            word = signal.SIGKILL if order.does == "kill" else signal.SIGUSR2
            if order.moment == "before":
                os.kill(pid(), word)
            if order.does == "kill" and order.moment == "before":
                s3_server.cut_before(exchange)
            exchange.answer = exchange.forward()
            if order.moment == "after":
                os.kill(pid(), word)
            elif order.moment == "replied":
                exchange.answered = lambda: os.kill(pid(), word)

        return fault

    def heal(self) -> None: ...

    def close(self) -> None:
        self._bucket.between.close()


def secret() -> dict[str, Any]:
    """The Secret with the credentials of every bucket here."""
    data = {"id": s3_server.ACCESS, "key": s3_server.SECRET, "ca.crt": s3_server.OWN.crt}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s3"}, "stringData": data}
