"""A store in a directory: a mounted volume, a disk of the machine, a folder for a try.

A file is written beside its name and renamed when it is whole and on the disk; its digest is there first.
Every step goes from the directory down, through no symbolic link: nothing outside is ever touched. A full disk
publishes nothing. Neighbours: `contract` says what a store promises, `foldertree` walks.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from engine.base.errors import Garbled, Missing
from engine.ports.stores.contract import (
    DIGEST_SUFFIX,
    PARTIAL_SUFFIX,
    Bytes,
    Stored,
    Upload,
    checked_key,
    checked_prefix,
)
from engine.ports.stores.digestfile import recorded, sidecar
from engine.ports.stores.foldertree import Folder, failures, files, inside, opened

log = logging.getLogger(__name__)

_CHUNK = 1 << 20


class DirectoryStore:
    """Files below `root`, which must be there: a volume that is not mounted is not taken for an empty one."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def stat(self, key: str) -> Stored | None:
        with self._in_folder(key, create=False) as folder:
            return None if folder is None else _look(folder, key)

    def upload(self, key: str, stop: threading.Event | None = None) -> DirectoryUpload:
        with self._in_folder(key, create=True) as folder:
            assert folder is not None
            return DirectoryUpload(folder.again(), key)

    def put(self, key: str, data: bytes) -> None:
        # A put that was killed has left its file half-written, and nobody else may ever look for that.
        self.abort_open(key)
        with self.upload(key) as upload:
            upload.write(data)
            upload.complete(hashlib.sha256(data).hexdigest())

    def read(self, key: str) -> Iterator[bytes]:
        with self._in_folder(key, create=False) as folder:
            file = None if folder is None else opened(folder, _name(key))
        if file is None:
            raise Missing(f"no file {key}", source=str(self._root), operation="read", sent="yes")
        with os.fdopen(file, "rb", buffering=0) as stream, failures("read", self._root):
            while chunk := stream.read(_CHUNK):
                yield chunk

    def list(self, prefix: str) -> Iterator[Stored]:
        with failures("list", self._root), inside(self._root) as top:
            yield from files(top, checked_prefix(prefix))

    def delete(self, key: str) -> None:
        with self._in_folder(key, create=False) as folder:
            if folder is None:
                return
            name = _name(key)
            for each in (name, name + DIGEST_SUFFIX):
                with suppress(FileNotFoundError):
                    os.unlink(each, dir_fd=folder.fd)
            os.fsync(folder.fd)
        self.abort_open(key)

    def abort_open(self, prefix: str) -> int:
        aborted = 0
        with failures("abort", self._root), inside(self._root) as top:
            for folder, name in top.hidden(checked_prefix(prefix)):
                if name.endswith(PARTIAL_SUFFIX) and _take_back(folder, name):
                    aborted += 1
        return aborted

    @contextmanager
    def _in_folder(self, key: str, *, create: bool) -> Iterator[Folder | None]:
        """The folder that the key stands in; None when it is not there."""
        parts = checked_key(key).split("/")
        with failures(_name(key), self._root), inside(self._root) as top:
            folder = top
            for part in parts[:-1]:
                deeper = folder.child(part, create=create)
                folder.close()
                if deeper is None:
                    yield None
                    return
                folder = deeper
            try:
                yield folder
            finally:
                folder.close()


class DirectoryUpload(Upload):
    """A file that grows beside its name, locked by whoever writes it."""

    def __init__(self, folder: Folder, key: str) -> None:
        self._folder, self._key = folder, key
        self._hash = hashlib.sha256()
        self._partial = f".{_name(key)}.{secrets.token_hex(6)}{PARTIAL_SUFFIX}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            self._file = os.open(self._partial, flags, 0o600, dir_fd=folder.fd)
            fcntl.flock(self._file, fcntl.LOCK_EX)
        except OSError:
            folder.close()
            raise
        self._open = True

    def write(self, data: Bytes) -> None:
        with failures(self._key, self._folder.path):
            left = memoryview(data)
            self._hash.update(left)
            while left:
                left = left[os.write(self._file, left) :]

    def complete(self, sha256: str) -> None:
        if self._hash.hexdigest() != sha256:
            text = f"{self._key}: what was written has another digest than was promised"
            raise Garbled(
                text, source=str(self._folder.path), operation="complete", sent="no", code="BadDigest"
            )
        with failures(self._key, self._folder.path):
            os.fsync(self._file)
            self._publish(sha256)
        self._close()

    def abort(self) -> None:
        if not self._open:
            return
        try:
            os.unlink(self._partial, dir_fd=self._folder.fd)
        except OSError as error:
            log.warning("%s: what was begun could not be taken back: %s", self._key, error.strerror)
        self._close()

    def _publish(self, sha256: str) -> None:
        """The digest first, the file last. Whoever publishes in this folder at the same time waits."""
        name, fd = _name(self._key), self._folder.fd
        fcntl.flock(fd, fcntl.LOCK_EX)
        try:
            side = f".{name}.{secrets.token_hex(6)}{DIGEST_SUFFIX}{PARTIAL_SUFFIX}"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            try:
                with os.fdopen(os.open(side, flags, 0o600, dir_fd=fd), "w", encoding="utf-8") as out:
                    out.write(sidecar(sha256, name, os.fstat(self._file)))
                    out.flush()
                    os.fsync(out.fileno())
                os.rename(side, name + DIGEST_SUFFIX, src_dir_fd=fd, dst_dir_fd=fd)
            except OSError:
                with suppress(OSError):
                    os.unlink(side, dir_fd=fd)
                raise
            os.rename(self._partial, name, src_dir_fd=fd, dst_dir_fd=fd)
            os.fsync(fd)
        finally:
            fcntl.flock(fd, fcntl.LOCK_UN)

    def _close(self) -> None:
        if self._open:
            self._open = False
            os.close(self._file)
            self._folder.close()


def _look(folder: Folder, key: str) -> Stored | None:
    name = _name(key)
    file = opened(folder, name)
    if file is None:
        return None
    with os.fdopen(file, "rb", buffering=0) as stream:
        facts = os.fstat(stream.fileno())
        digest = opened(folder, name + DIGEST_SUFFIX)
        text = ""
        if digest is not None:
            with os.fdopen(digest, "r", encoding="utf-8", errors="replace") as side:
                text = side.read(4096)
        return Stored(key, facts.st_size, recorded(text, facts, stream), facts.st_mtime)


def _take_back(folder: Folder, name: str) -> bool:
    """Remove what nobody is writing; whether it did. Waits for whoever publishes in the folder."""
    file = opened(folder, name)
    if file is None:
        return False
    try:
        fcntl.flock(folder.fd, fcntl.LOCK_EX)
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(name, dir_fd=folder.fd)
    except (BlockingIOError, FileNotFoundError):
        return False
    finally:
        fcntl.flock(folder.fd, fcntl.LOCK_UN)
        os.close(file)
    return True


def _name(key: str) -> str:
    return key.rpartition("/")[2]
