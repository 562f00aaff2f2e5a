"""The promises of the queue, on a clock of our own; and under many threads."""

from __future__ import annotations

import random
import threading
from collections import Counter

import pytest

from engine.base.kinds import Key, Kind
from engine.workqueue import OVERTAKING, WorkQueue

THING = Kind("example.test", "v1", "Thing", "things")
A, B, C = (Key(THING, "default", name) for name in "abc")


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


class Observer:
    def __init__(self):
        self.told = []

    def added(self, key):
        self.told.append(("added", key.name))

    def retried(self, key):
        self.told.append(("retried", key.name))

    def taken(self, key, waited_s):
        self.told.append(("taken", key.name, waited_s))

    def finished(self, key, worked_s):
        self.told.append(("finished", key.name, worked_s))


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def queue(clock):
    return WorkQueue(clock, jitter=lambda: 1.0)


def taken(queue):
    """All keys that are due now, given back at once."""
    found = []
    while (key := queue.get(0)) is not None:
        found.append(key)
        queue.done(key)
    return found


def test_a_key_added_often_is_handed_out_once(queue):
    for key in (A, B, A, A):
        queue.add(key)
    assert queue.depth() == 2
    assert taken(queue) == [A, B]


def test_a_key_added_while_worked_on_runs_again_and_never_beside_itself(queue):
    queue.add(A)
    assert queue.get(0) == A
    queue.add(A)
    queue.add(A)
    assert queue.get(0) is None
    queue.done(A)
    assert taken(queue) == [A]


def test_a_delayed_key_waits_for_its_time(queue, clock):
    queue.add(A, delay_s=5)
    queue.add(B, delay_s=3)
    assert taken(queue) == []
    assert queue.depth() == 0
    clock.now += 3
    assert taken(queue) == [B]
    clock.now += 2
    assert taken(queue) == [A]


def test_a_hastened_queue_hands_out_all_that_waits_and_runs_what_is_worked_on_once_more(queue, clock):
    queue.add(A, delay_s=60)
    queue.back_off(B, initial_s=600, max_s=600)
    queue.add(C)
    assert queue.get(0) == C
    queue.hasten()
    queue.add(C, delay_s=3600)
    assert taken(queue) == [A, B]
    queue.done(C)
    assert taken(queue) == [C]
    clock.now += 3600
    assert taken(queue) == []


@pytest.mark.parametrize("delays", [(5, 1), (1, 5)])
def test_the_earlier_of_two_delays_wins_and_the_later_one_is_no_more(queue, clock, delays):
    for delay in delays:
        queue.add(A, delay_s=delay)
    clock.now += 1
    assert taken(queue) == [A]
    clock.now += 10
    assert taken(queue) == []


def test_an_immediate_add_overtakes_a_delay(queue, clock):
    queue.add(A, delay_s=60)
    queue.add(A)
    assert taken(queue) == [A]
    clock.now += 61
    assert taken(queue) == []


def test_a_delay_asked_for_while_working_is_kept_and_the_earlier_wins(queue, clock):
    queue.add(A)
    queue.get(0)
    queue.add(A, delay_s=60)
    queue.add(A, delay_s=10)
    queue.done(A)
    assert queue.get(0) is None
    clock.now += 10
    assert taken(queue) == [A]


def test_what_is_told_goes_before_looks_that_have_been_due_for_longer(queue, clock):
    queue.add(A)
    queue.add(B)
    clock.now += 1
    queue.add(C, news=True)
    assert taken(queue) == [C, A, B]


def test_what_is_told_of_a_key_that_waits_to_be_looked_at_brings_it_forward(queue, clock):
    queue.add(A)
    queue.add(B)
    clock.now += 1
    queue.add(B, news=True)
    assert taken(queue) == [B, A]


def test_what_is_told_of_a_key_that_is_worked_on_goes_first_afterwards(queue, clock):
    queue.add(A)
    queue.get(0)
    queue.add(A, news=True)
    queue.add(B)
    clock.now += 1
    queue.done(A)
    assert taken(queue) == [A, B]


def test_what_is_told_for_later_keeps_a_look_that_is_due_waiting_no_longer(queue, clock):
    queue.add(A, delay_s=5, news=True)
    queue.add(A)
    assert taken(queue) == [A]
    clock.now += 10
    assert taken(queue) == []


@pytest.mark.parametrize("seed", range(5))
def test_however_much_is_told_nothing_waits_for_ever(queue, clock, seed):
    """What is told comes faster than it is worked off; every look has its turn after a bounded number of others."""
    chance = random.Random(seed)
    talkers = [Key(THING, "talks", str(number)) for number in range(50)]
    silent = [Key(THING, "silent", str(number)) for number in range(20)]
    for key in silent:
        queue.add(key)
    order = []
    for _ in range((OVERTAKING + 1) * len(silent)):
        clock.now += 0.01
        for key in chance.sample(talkers, 2):
            queue.add(key, news=True)
        order.append(queue.get(0))
        queue.done(order[-1])
    assert [key for key in order if key in silent] == silent, f"seed {seed}"


def test_however_many_looks_are_due_what_is_told_waits_for_one_of_them_at_most(queue, clock):
    for number in range(1000):
        queue.add(Key(THING, "due", str(number)))
    waited = []
    for number in range(200):
        clock.now += 0.01
        told = Key(THING, "told", str(number))
        queue.add(told, news=True)
        before = 0
        while (key := queue.get(0)) != told:
            queue.done(key)
            before += 1
        queue.done(told)
        waited.append(before)
    assert set(waited) == {0, 1}


def test_failures_double_the_delay_up_to_a_limit_until_forgotten(queue, clock):
    delays = [queue.back_off(A, initial_s=1, max_s=10) for _ in range(6)]
    assert delays == [1, 2, 4, 8, 10, 10]
    queue.forget(A)
    assert queue.back_off(A, initial_s=1, max_s=10) == 1
    assert queue.back_off(B, initial_s=1, max_s=10) == 1


def test_a_failure_waits_as_long_as_the_other_side_asks_within_the_limit(queue, clock):
    assert queue.back_off(A, initial_s=1, max_s=10, least_s=7) == 7
    assert queue.back_off(B, initial_s=1, max_s=10, least_s=60) == 10


def test_jitter_spreads_the_delay_over_its_upper_half(clock):
    chance = random.Random(3)
    queue = WorkQueue(clock, jitter=chance.random)
    delays = [queue.back_off(Key(THING, "", str(number)), initial_s=8, max_s=60) for number in range(200)]
    assert 4 <= min(delays) < 4.5
    assert 7.5 < max(delays) <= 8


def test_thousands_of_failures_are_no_overflow(queue):
    for _ in range(3000):
        delay = queue.back_off(A, initial_s=1, max_s=60)
    assert delay == 60


def test_shutting_down_lets_waiting_workers_go_and_takes_nothing_in(queue):
    seen = []
    worker = threading.Thread(target=lambda: seen.append(queue.get()))
    worker.start()
    queue.shut_down()
    worker.join(5)
    queue.add(A)
    assert seen == [None]
    assert queue.get(0) is None
    assert queue.depth() == 0


def test_draining_waits_for_keys_in_workers_hands(queue):
    queue.add(A)
    queue.get(0)
    queue.shut_down()
    assert not queue.drain(0.01)
    worker = threading.Thread(target=queue.done, args=(A,))
    worker.start()
    assert queue.drain(5)
    worker.join()


def test_a_worker_that_waits_is_woken_by_a_key(queue):
    seen = []
    worker = threading.Thread(target=lambda: seen.append(queue.get()))
    worker.start()
    queue.add(A)
    worker.join(5)
    assert seen == [A]


def test_an_observer_learns_what_the_metrics_need(clock):
    observer = Observer()
    queue = WorkQueue(clock, jitter=lambda: 1.0, observer=observer)
    queue.add(A)
    queue.add(A)
    clock.now += 2
    queue.get(0)
    queue.add(A)
    clock.now += 3
    assert queue.working() == {A: 3}
    queue.done(A)
    queue.back_off(B, initial_s=1, max_s=1)
    assert observer.told == [
        ("added", "a"),
        ("taken", "a", 2),
        ("added", "a"),
        ("finished", "a", 3),
        ("retried", "b"),
        ("added", "b"),
    ]


def test_under_many_threads_no_key_is_lost_and_none_is_worked_on_twice_at_once():
    queue = WorkQueue(jitter=random.Random(1).random)
    keys = [Key(THING, "default", str(number)) for number in range(20)]
    inside, overlaps, passes, changes = Counter(), [], Counter(), Counter()
    seen = {}
    lock = threading.Lock()

    def work():
        while (key := queue.get()) is not None:
            with lock:
                inside[key] += 1
                overlaps.extend([key] if inside[key] > 1 else [])
                seen[key] = changes[key]
                passes[key] += 1
            with lock:
                inside[key] -= 1
            queue.done(key)

    workers = [threading.Thread(target=work) for _ in range(8)]
    for worker in workers:
        worker.start()
    chance = random.Random(2)
    for _ in range(4000):
        key = chance.choice(keys)
        with lock:
            changes[key] += 1
        queue.add(key, delay_s=chance.choice((0, 0, 0.001)), news=chance.random() < 0.5)
    settled = threading.Event()
    for _ in range(500):
        if not queue.working() and not queue._waiting():
            break
        settled.wait(0.01)
    queue.shut_down()
    assert queue.drain(5)
    for worker in workers:
        worker.join(5)
    assert overlaps == []
    assert seen == dict(changes)
