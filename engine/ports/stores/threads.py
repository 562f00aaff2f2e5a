"""Threads for what blocks on a store: a few, begun when needed, and never waited for when the process ends.

What was given up before its turn is not done. Never grows beyond its number. Neighbours: `s3_upload` sends parts
with them, the capabilities of stores look with them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")


class Threads:
    """At most `most` threads; a store that says nothing holds them, and nobody else."""

    def __init__(self, most: int, name: str) -> None:
        self._most, self._name = most, name
        self._begun = 0
        self._lock = threading.Lock()
        self._waiting: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Do it when a thread is free; the Future may be cancelled until then."""
        future: Future[T] = Future()
        self._waiting.put((future, work))
        with self._lock:
            if self._begun < self._most:
                self._begun += 1
                threading.Thread(target=self._serve, name=self._name, daemon=True).start()
        return future

    def close(self) -> None:
        """Let the threads end once nothing waits; nothing may be submitted afterwards."""
        with self._lock:
            for _ in range(self._begun):
                self._waiting.put(None)
            self._begun = self._most

    def _serve(self) -> None:
        while self._one():
            continue

    def _one(self) -> bool:
        """Do the next; a function of its own, so that nothing of it is held while waiting for another."""
        item = self._waiting.get()
        if item is None:
            return False
        future, work = item
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(work())
            except BaseException as error:  # noqa: BLE001 - it belongs to whoever waits for the Future
                future.set_exception(error)
        return True
