"""What happens to the files of a store in the process that writes them: counted, killed at one, failing, full.

Stands in for what `os` does below one folder, in the engine that is started for a trial and nowhere else; the engine's own
code is the shipped one. Counts what changes the disk, and writes each call down before it is carried out. Linux only.
Neighbours: `engine` installs it, `trial` orders.
"""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CREATES = os.O_CREAT
_BY_FILE = ("write", "fsync")
_BY_NAME = ("mkdir", "unlink", "rename")
_FULL = frozenset({"open", "write", "mkdir", "fsync"})
"""What a full disk refuses."""
_ASYNC_S = 0.003


@dataclass(frozen=True)
class Order:
    """At a `call`, such as `rename2` for the second rename, at this `moment` of it: `does` is `kill`, `clock`, `full`, `short` or the name of an errno.

    `moment`: `before`, `half` (of what is to be written), `after` (it was carried out, nobody knows) or `replied` (a moment later).
    """

    call: str
    does: str
    moment: str = "before"


class Disk:
    """Everything below `root`; `log` gets a line a call. While the file `full` exists there is no space."""

    def __init__(self, root: Path, log: Path, full: Path, order: Order | None) -> None:
        self._root = str(root.resolve())
        self._full = str(full)
        self._order = order
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._write, self._create, self._link, self._stat = os.write, os.open, os.readlink, os.stat
        self._log = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def install(self) -> None:
        """From now on, in this process."""
        os.open = self._opening(os.open)
        for name in _BY_FILE:
            setattr(os, name, self._standing_for(name, getattr(os, name), self._of_file))
        for name in _BY_NAME:
            setattr(os, name, self._standing_for(name, getattr(os, name), self._of_name))

    def _opening(self, real: Callable[..., int]) -> Callable[..., int]:
        def opening(path: Any, flags: int, *more: Any, **named: Any) -> int:
            where = self._of_name(path, **named) if flags & CREATES else None
            if where is None:
                return real(path, flags, *more, **named)
            return int(self._met("open", where, lambda: real(path, flags, *more, **named)))

        return opening

    def _standing_for(
        self, name: str, real: Callable[..., Any], place: Callable[..., str | None]
    ) -> Callable[..., Any]:
        def standing(*given: Any, **named: Any) -> Any:
            where = place(*given, **named)
            if where is None:
                return real(*given, **named)
            if name != "write":
                return self._met(name, where, lambda: real(*given, **named))
            file, data = given
            half = memoryview(data)[: len(data) // 2]
            return self._met(name, where, lambda: real(file, data), lambda: real(file, half))

        return standing

    def _of_file(self, file: int, *_: Any) -> str | None:
        return self._below(f"/proc/self/fd/{file}", "")

    def _of_name(self, path: Any, *_: Any, **named: Any) -> str | None:
        folder = named.get("dir_fd", named.get("src_dir_fd"))
        return None if folder is None else self._below(f"/proc/self/fd/{folder}", str(path))

    def _below(self, link: str, name: str) -> str | None:
        try:
            path = f"{self._link(link)}/{name}"
        except OSError:
            return None
        return path[len(self._root) :].strip("/") or "/" if path.startswith(self._root) else None

    def _is_full(self) -> bool:
        try:
            self._stat(self._full)
        except FileNotFoundError:
            return False
        return True

    def _met(
        self, name: str, where: str, real: Callable[[], Any], half: Callable[[], Any] | None = None
    ) -> Any:
        with self._lock:
            self._counts[name] += 1
            call = f"{name}{self._counts[name]}"
            order = self._order if self._order is not None and self._order.call == call else None
            self._write(self._log, f"{call} {where} {order.does if order else '-'}\n".encode())
        if order is not None and order.does == "full":
            os.close(self._create(self._full, os.O_CREAT | os.O_WRONLY, 0o600))
        if name in _FULL and self._is_full():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if order is None or order.does == "full":
            return real()
        return self._carried_out(order, real, half or real)

    def _carried_out(self, order: Order, real: Callable[[], Any], half: Callable[[], Any]) -> Any:
        if order.does == "short":
            return half()
        if order.does not in ("kill", "clock"):
            number = getattr(errno, order.does)
            raise OSError(number, os.strerror(number))
        word = signal.SIGKILL if order.does == "kill" else signal.SIGUSR2
        if order.moment == "before":
            os.kill(os.getpid(), word)
        if order.moment == "half":
            half()
            os.kill(os.getpid(), word)
        done = real()
        if order.moment == "after":
            os.kill(os.getpid(), word)
        if order.moment == "replied":
            threading.Timer(_ASYNC_S, os.kill, (os.getpid(), word)).start()
        return done
