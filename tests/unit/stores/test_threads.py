"""Threads for stores: a few, free of what was given up, and no reason for a process to stay."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from engine.ports.stores.threads import Threads

ROOT = Path(__file__).parents[3]
SCRIPT = """
import time
from engine.ports.stores.threads import Threads
threads = Threads(2, "t")
for _ in range(5):
    threads.submit(lambda: time.sleep(60))
print("ends", flush=True)
"""


def test_results_and_errors_reach_whoever_waits():
    threads = Threads(2, "t")
    assert [each.result(5) for each in [threads.submit(lambda n=n: n * n) for n in range(50)]] == [
        n * n for n in range(50)
    ]
    with pytest.raises(ZeroDivisionError):
        threads.submit(lambda: 1 // 0).result(5)
    threads.close()


def test_there_are_never_more_than_asked_for_and_none_after_the_end(eventually):
    threads, gate = Threads(3, "counted"), threading.Event()
    futures = [threads.submit(gate.wait) for _ in range(20)]

    def alive():
        return sum(each.name == "counted" for each in threading.enumerate())

    assert alive() == 3
    threads.close()
    gate.set()
    assert all(each.result(5) for each in futures)
    eventually(lambda: alive() == 0, "their end")


def test_what_was_given_up_before_its_turn_is_not_done():
    threads, gate, done = Threads(1, "t"), threading.Event(), []
    first = threads.submit(gate.wait)
    second, third = threads.submit(lambda: done.append(2)), threads.submit(lambda: done.append(3))
    assert second.cancel()
    gate.set()
    third.result(5)
    first.result(5)
    assert done == [3]
    threads.close()


def test_a_process_ends_though_a_store_says_nothing():
    started = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, timeout=50, check=False
    )
    assert (ended.returncode, ended.stdout) == (0, "ends\n"), ended.stderr
    assert time.monotonic() - started < 40
