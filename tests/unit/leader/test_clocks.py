"""However clocks are set and, within bounds, however fast they go: never do two candidates begin effects at the same time.

TALOS_OPERATOR_TEST_SEED replays. The world is stepped through; no thread, no sleep.
"""

from __future__ import annotations

import os
import random

import pytest

from engine.election import Terms
from tests.unit.leader.candidates import Candidate, Leases

SEED = int(os.environ.get("TALOS_OPERATOR_TEST_SEED", "20261128"))
STEP_S = 0.1
SCALED = Terms(lease_s=30, renew_s=10, retry_s=2)
"""The lease is longer than the deadline by more than twice: so far apart may the clocks go."""


def live(draw, rates, terms, seconds):
    """Let candidates live with crashes, cuts and a lease that vanishes; who may act at each moment, by incarnation."""
    server = Leases()
    line = [Candidate(server, f"c{n}", rate=rate, terms=terms, draw=draw) for n, rate in enumerate(rates)]
    paused = dict.fromkeys(rates, 0.0)
    lives, led = len(line), 0
    for _ in range(int(seconds / STEP_S)):
        server.now += STEP_S
        for place, each in enumerate(line):
            if draw.random() < 0.002:
                paused[place] = server.now + draw.uniform(0, 3 * terms.lease_s)
            if server.now < paused.get(place, 0.0):
                continue
            if server.now >= each.next_at:
                each.look()
            if each.lost:
                line[place] = Candidate(server, f"c{lives}", rate=rates[place], terms=terms, draw=draw)
                lives += 1
        if draw.random() < 0.001:
            server.conflicts = draw.randrange(1, 40)
        if draw.random() < 0.0005:
            server.unreachable = {draw.choice(line).name}
        elif draw.random() < 0.01:
            server.unreachable = set()
        able = [each.name for each in line if each.may_act()]
        led += bool(able)
        yield server.now, able
    assert led > 0.3 * seconds / STEP_S, "somebody led for a fair part of the time"


@pytest.mark.parametrize("rates", [(1.0, 1.0, 1.0), (1.0, 0.5, 1.0), (1.0, 2.0, 1.0), (0.7, 1.4, 1.0)])
def test_never_may_two_begin_something_at_once_though_clocks_run_twice_or_half_as_fast(rates):
    draw = random.Random(SEED)
    for now, able in live(draw, rates, SCALED, 2000):
        assert len(able) <= 1, f"at {now:.1f}: {able}; replay with TALOS_OPERATOR_TEST_SEED={SEED}"


def test_clocks_that_differ_by_more_than_the_terms_allow_are_found_out():
    """That the check above can fail: the leader's clock at half speed, with a lease hardly longer than the deadline."""
    terms = Terms(lease_s=11, renew_s=10, retry_s=2)
    draw = random.Random(SEED)
    assert any(len(able) > 1 for _, able in live(draw, (0.3, 1.0, 0.3), terms, 4000))
