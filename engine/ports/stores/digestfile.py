"""The file that holds another file's digest in a directory, and whether it speaks of the content that is there.

`sha256sum --check` reads it. A comment names the file that it was written for, by what changes with every new
content; a file that was copied from elsewhere is read once to see. Neighbour: `directory`.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections import OrderedDict
from typing import Protocol

from engine.ports.stores.contract import digest_text

_LINE = re.compile(r"([0-9a-f]{64}) [ *]")
_CHUNK = 1 << 20
_KEPT = 64

_Identity = tuple[int, int, int, int]
_read: OrderedDict[_Identity, str] = OrderedDict()
_lock = threading.Lock()


class _Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes | None: ...


def sidecar(sha256: str, name: str, facts: os.stat_result) -> str:
    """The text to stand beside a file with these facts."""
    return f"{digest_text(sha256, name)}# {_identity(facts)}\n"


def recorded(text: str, facts: os.stat_result, stream: _Readable) -> str | None:
    """The digest that `text` holds, if it is that of the file; else None."""
    found = _LINE.match(text)
    if found is None:
        return None
    if f"# {_identity(facts)}" in text.splitlines():
        return found[1]
    return found[1] if _digest(facts, stream) == found[1] else None


def _identity(facts: os.stat_result) -> str:
    return f"size {facts.st_size} inode {facts.st_ino} changed {facts.st_mtime_ns}"


def _digest(facts: os.stat_result, stream: _Readable) -> str:
    key = (facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns)
    with _lock:
        if key in _read:
            return _read[key]
    found = hashlib.sha256()
    while chunk := stream.read(_CHUNK):
        found.update(chunk)
    with _lock:
        _read[key] = found.hexdigest()
        while len(_read) > _KEPT:
            _read.popitem(last=False)
        return _read[key]
