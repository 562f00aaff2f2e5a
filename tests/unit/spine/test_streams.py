"""Which watches an object wants, by its rule and what its pass knows; and how many passes a burst of events costs."""

from __future__ import annotations

import time

import pytest

from engine import protocol
from engine.base.errors import OutcomeUnknown
from engine.capabilities.identities import Identities
from engine.ports.talos.client import TalosClient
from engine.streams import APART_S, Streams
from engine.workqueue import WorkQueue
from tests.unit.spine.world import FAILED, decided, key_of, widget

RULE = """
on:
  streams:
    - {get: MachineStatuses.runtime.talos.dev}
    - {list: Services.v1alpha1.talos.dev, when: "${obs.stage == 'running'}"}
connect: {endpoint: "${self.spec.address}", insecure: true}
observe:
  stage: {talos: machine.MachineService/Version, pick: "${messages[0].version.tag}"}
conditions: [{type: C, is: "${obs.stage != `null`}"}]
"""


class Kept:
    """What was wanted, as the connections would have taken it."""

    def __init__(self):
        self.wanted = {}
        self.open = set()

    def keep(self, token, wanted):
        self.wanted[token] = wanted

    def tokens(self):
        return [token for token, wanted in self.wanted.items() if wanted is not None]

    def is_open(self, token):
        return token in self.open


class Woken:
    def __init__(self):
        self.wakes = []
        self.kept = Kept()
        self.client = TalosClient(loopback_only=True)
        self.streams = Streams(self.client, Identities(), self._wake)
        self.streams._watches = self.kept
        self.queue = WorkQueue()

    def _wake(self, key, delay_s):
        self.wakes.append((key, delay_s))
        self.queue.add(key, delay_s=delay_s, news=True)

    def looks(self, within_s):
        """How often the object is looked at within so many seconds."""
        count, end = 0, time.monotonic() + within_s
        while (key := self.queue.get(max(0.0, end - time.monotonic()))) is not None:
            self.queue.done(key)
            count += 1
        return count

    def want(self, text=RULE, address="127.0.9.1", **answers):
        found = decided(text, widget(spec={"address": address}), **answers)
        self.streams.want(found.rule, key_of(), found.names, found.snapshot.now)
        return self.kept.wanted.get(key_of(), "nothing said")


@pytest.fixture
def woken():
    made = Woken()
    yield made
    made.client.close()


def requests(wanted):
    made = protocol.message_class("cosi.resource.WatchRequest")
    return [
        (each.type, each.id, each.namespace, each.api_version, stream.preamble)
        for stream in wanted.streams
        for each in (made.FromString(stream.request),)
    ]


def test_an_object_wants_the_resources_of_its_rule_of_the_machine_that_it_connects_to(woken):
    wanted = woken.want(stage="running")
    assert (str(wanted.address), wanted.identity) == ("127.0.9.1:50000", None)
    assert requests(wanted) == [
        ("MachineStatuses.runtime.talos.dev", "machine", "runtime", 1, 2),
        ("Services.v1alpha1.talos.dev", "", "runtime", 1, 1),
    ]


def test_a_resource_whose_when_is_false_is_not_watched(woken):
    assert [each[0] for each in requests(woken.want(stage="booting"))] == [
        "MachineStatuses.runtime.talos.dev"
    ]


def test_when_nobody_can_tell_what_is_wanted_the_watch_stays_as_it_is(woken):
    assert woken.want(stage=FAILED) == "nothing said"


def test_an_object_without_any_stream_that_it_wants_has_its_watch_taken_away(woken):
    alone = RULE.replace("    - {get: MachineStatuses.runtime.talos.dev}\n", "")
    assert woken.want(alone, stage="booting") is None


def test_an_address_that_may_not_be_dialled_changes_nothing(woken):
    assert woken.want(address="10.0.0.1", stage="running") == "nothing said"


def test_a_rule_without_streams_wants_nothing(woken):
    assert woken.want("conditions: [{type: C, is: true}]") == "nothing said"


def test_an_object_that_is_gone_is_not_watched(woken):
    woken.want(stage="running")
    woken.streams.forget(key_of())
    assert woken.kept.wanted[key_of()] is None


def event(kind="UPDATED"):
    reply = protocol.message_class("cosi.resource.WatchResponse")()
    added = reply.event.add()
    numbers = added.DESCRIPTOR.fields_by_name["event_type"].enum_type.values_by_name
    added.event_type = numbers[kind].number
    return memoryview(reply.SerializeToString())


def test_the_first_event_of_a_burst_wakes_at_once_and_all_others_together_once_more(woken):
    assert woken.streams.message(key_of(), event())
    assert woken.looks(0) == 1
    for _ in range(1000):
        assert woken.streams.message(key_of(), event())
    assert all(0 < delay_s <= APART_S for _, delay_s in woken.wakes[1:])
    assert woken.looks(2 * APART_S) == 1


def test_a_burst_while_the_object_waits_for_a_worker_is_seen_by_that_one_pass(woken):
    for _ in range(1000):
        assert woken.streams.message(key_of(), event())
    assert woken.looks(2 * APART_S) == 1


def test_what_is_told_after_the_object_was_looked_at_for_another_reason_is_seen_too(woken):
    woken.streams.message(key_of(), event())
    assert woken.looks(0) == 1
    woken.streams.message(key_of(), event())
    woken.queue.add(key_of())
    assert woken.looks(0) == 1
    woken.streams.message(key_of(), event())
    assert woken.looks(2 * APART_S) == 1


def test_an_event_after_a_while_wakes_at_once_again(woken):
    woken.streams.message(key_of(), event())
    time.sleep(APART_S)
    woken.streams.message(key_of(), event())
    assert [delay_s for _, delay_s in woken.wakes] == [0, 0]


def test_the_end_of_a_watch_wakes_at_once_whatever_was_before(woken):
    for _ in range(3):
        woken.streams.message(key_of(), event())
    woken.streams.ended(key_of(), OutcomeUnknown("cut"))
    assert woken.wakes[-1] == (key_of(), 0)


def test_what_is_no_change_wakes_nobody_and_what_says_that_events_are_missing_ends_the_watch(woken):
    assert woken.streams.message(key_of(), event("NOOP"))
    assert not woken.streams.message(key_of(), event("ERRORED"))
    assert woken.wakes == []


def test_the_figures_tell_what_is_wanted_what_is_open_and_when_something_was_heard(woken):
    woken.want(stage="running")
    assert woken.streams.figures() == [{"controller": "widget", "wanted": 1, "open": 0, "heard": 0.0}]
    woken.kept.open.add(key_of())
    woken.streams.message(key_of(), event())
    (figures,) = woken.streams.figures()
    assert figures["open"] == 1
    assert time.time() - figures["heard"] < 5


def test_figures_before_the_start_are_none(woken):
    assert Streams(woken.client, Identities(), print).figures() == []
