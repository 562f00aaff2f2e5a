"""A time of day that jumps is told once, and one that goes its way never is."""

from __future__ import annotations

import threading

import pytest

from engine.clockwatch import ClockWatch
from tests.unit.spine.server import until


class Clocks:
    wall, steady = 1_800_000_000.0, 50.0

    def passes(self, seconds, *, wall=None):
        self.steady += seconds
        self.wall += seconds if wall is None else wall


@pytest.fixture
def clocks():
    return Clocks()


@pytest.fixture
def jumps():
    return []


@pytest.fixture
def watch(clocks, jumps):
    return ClockWatch(lambda: jumps.append(clocks.wall), lambda: clocks.wall, lambda: clocks.steady)


@pytest.mark.parametrize("by", [60, 8 * 3600, -3600])
def test_a_clock_that_was_set_is_told_once(watch, clocks, jumps, by):
    clocks.passes(0.5, wall=by)
    watch.look()
    assert jumps == [clocks.wall]
    clocks.passes(0.5)
    watch.look()
    assert len(jumps) == 1


def test_a_clock_that_is_slewed_is_never_told(watch, clocks, jumps):
    for _ in range(10_000):
        clocks.passes(0.5, wall=0.5005)
        watch.look()
    assert jumps == []


def test_it_looks_by_itself_until_it_is_stopped(clocks):
    told = threading.Event()
    watch = ClockWatch(told.set, lambda: clocks.wall, lambda: clocks.steady)
    watch.start()
    clocks.passes(0, wall=90)
    until("the jump is told", told.is_set)
    watch.stop()
