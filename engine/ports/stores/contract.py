"""What a store is: a place that keeps whole files under names, and nothing that is not whole.

A file counts when it stands under its key with the digest that was recorded for it; only `complete` and `put`
bring one there, at once and whole. What was begun and left is invisible under every key, and `abort_open`
finds it. Nothing here retries for long or waits for a state. Keys are paths with `/`, in every store alike.
Neighbours: `directory` and `s3` are stores; the capabilities `store.*` and `etcd.snapshot.copy` use them.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Protocol, Self, TypeAlias

from engine.base.errors import Refused

Bytes: TypeAlias = bytes | bytearray | memoryview

DIGEST_SUFFIX: Final = ".sha256"
"""Beside a file stands its digest, as `sha256sum --check` reads it; such names are no keys."""
PARTIAL_SUFFIX: Final = ".partial"

_LONGEST_KEY = 900
_CONTROL = re.compile(r"[\x00-\x1f\x7f\\]")


@dataclass(frozen=True, slots=True)
class Stored:
    """A file in a store. `modified` is seconds since the epoch.

    `sha256` is the digest, in hex, that was recorded for exactly this content, or None: then nobody vouches
    for it. A list does not look digests up.
    """

    key: str
    size: int
    sha256: str | None
    modified: float


class Upload(Protocol):
    """A file on its way. Leaving the `with` block without `complete` aborts it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()

    def write(self, data: Bytes) -> None:
        """Take the next bytes; blocks while the store is slower. Raises RemoteError."""
        ...

    def complete(self, sha256: str) -> None:
        """Publish under the key, if `sha256` is the digest of all that was written.

        Raises Garbled (BadDigest) when it is not, and any RemoteError of the store; unless that is an
        OutcomeUnknown, nothing was published.
        """
        ...

    def abort(self) -> None:
        """Take everything back. Never raises: what cannot be taken back is logged, `abort_open` finds it."""
        ...


class Store(Protocol):
    """Every method blocks, with a time limit, and raises RemoteError. Safe for use by many threads."""

    def stat(self, key: str) -> Stored | None:
        """The file under the key, None when there is none."""
        ...

    def upload(self, key: str, stop: threading.Event | None = None) -> Upload:
        """Begin a file of unknown size; a file under the key stays until the new one is complete.

        After `stop` is set nothing is tried again.
        """
        ...

    def put(self, key: str, data: bytes) -> None:
        """Store a small file at once, and take back what an earlier try was killed in."""
        ...

    def read(self, key: str) -> Iterator[bytes]:
        """The content in pieces; raises Missing, and OutcomeUnknown when it ends early."""
        ...

    def list(self, prefix: str) -> Iterator[Stored]:
        """Every file whose key begins so, in the order of keys, without digests."""
        ...

    def delete(self, key: str) -> None:
        """Remove the file and what was begun under its key; an absent one counts as deleted."""
        ...

    def abort_open(self, prefix: str) -> int:
        """Take back what was begun and left under keys that begin so; gives how many. Spares what this
        process is still writing.
        """
        ...


def checked_key(key: str) -> str:
    """The key itself; raises Refused (InvalidKey) unless it is a plain relative path of a file."""
    parts = key.split("/")
    if any(part in ("", ".", "..") for part in parts):
        raise _invalid(key, "it must be names separated by single slashes, without . and ..")
    if _CONTROL.search(key):
        raise _invalid(key, "it holds a backslash or a control character")
    if any(part.startswith(".") for part in parts) or key.endswith((DIGEST_SUFFIX, PARTIAL_SUFFIX)):
        raise _invalid(
            key, f"names that begin with a dot or end in {DIGEST_SUFFIX} or {PARTIAL_SUFFIX} are taken"
        )
    if len(key.encode()) > _LONGEST_KEY:
        raise _invalid(key[:40] + "...", f"it is longer than {_LONGEST_KEY} bytes")
    return key


def checked_prefix(prefix: str) -> str:
    """The prefix itself; raises Refused (InvalidKey) when no key can begin so."""
    if prefix:
        checked_key(prefix.removesuffix("/"))
    return prefix


def digest_text(sha256: str, name: str) -> str:
    """One line of a digest file: what `sha256sum` writes for `name`."""
    return f"{sha256}  {name}\n"


def _invalid(key: str, why: str) -> Refused:
    return Refused(f"{key!r} cannot be a key: {why}", sent="no", code="InvalidKey")
