"""Connections that are kept open: what is told over them, how they end, and how they come back."""

from __future__ import annotations

import queue
import threading
import time

import grpc
import pytest
from talos_node import address, eventually, identity, refuse

from engine import protocol
from engine.ports.talos.address import parse_address
from engine.ports.talos.watched import Stream, Wanted

WATCH = "cosi.resource.State/Watch"
WHO = identity()


class Resources:
    """Answers watches as a node does: an empty message, the state of a single resource, then what `change` says."""

    def __init__(self):
        self.open = []
        self._lock = threading.Lock()

    def __call__(self, request, context):
        changes = queue.Queue()
        with self._lock:
            self.open.append(changes)
        context.add_callback(lambda: changes.put(None))
        yield response()
        if request.HasField("id"):
            yield response("CREATED")
        while (kind := changes.get()) is not None:
            yield response(kind)

    def change(self, kind="UPDATED"):
        for changes in self.open:
            changes.put(kind)


def response(*kinds):
    reply = protocol.message_class("cosi.resource.WatchResponse")()
    for kind in kinds:
        event = reply.event.add()
        event.event_type = event.DESCRIPTOR.fields_by_name["event_type"].enum_type.values_by_name[kind].number
    return reply


class Told:
    """Notes what it is told."""

    def __init__(self):
        self.said = []

    def opened(self, token):
        self.said.append(("opened", token))

    def message(self, token, message):
        reply = protocol.message_class("cosi.resource.WatchResponse").FromString(bytes(message))
        self.said.append(("changed", token, len(reply.event)))
        return reply.event[0].event_type != 4

    def ended(self, token, error):
        self.said.append(("ended", token, error.code))

    def refused(self, token, stream, error):
        self.said.append(("refused", token, stream, error.code))

    def count(self, what, token="m"):
        return sum(each[0] == what and each[1] == token for each in self.said)


@pytest.fixture
def told(call):
    listener = Told()
    call.client.watches.tell(listener)
    return listener


def stream(kind, name=None):
    fields = {"namespace": "runtime", "type": kind, "api_version": 1, **({"id": name} if name else {})}
    message = protocol.to_message(protocol.methods()[WATCH], fields)
    return Stream(WATCH, message.SerializeToString(), preamble=2 if name else 1)


ONE, ALL = stream("MachineStatuses.runtime.talos.dev", "machine"), stream("Services.v1alpha1.talos.dev")


def wanted(number, *streams, who=WHO):
    return Wanted(parse_address(address(number), loopback_only=True), who, streams or (ONE, ALL))


def watched(network, number=1):
    node = network.node(number)
    node.handlers["Watch"] = Resources()
    return node, node.handlers["Watch"]


def test_changes_of_several_resources_are_told_over_one_connection_and_the_state_at_the_start_is_not(
    network, call, told
):
    node, resources = watched(network)
    call.client.watches.keep("m", wanted(1))
    assert eventually(lambda: told.count("opened") == 1)
    time.sleep(0.1)
    assert told.said == [("opened", "m")]
    resources.change()
    assert eventually(lambda: told.count("changed") == 2)
    assert (node.accepted, node.received["Watch"]) == (1, 2)
    assert [(each.method, each.code) for each in call.records] == [(WATCH, "OK")] * 2


@pytest.mark.parametrize("reset", [False, True])
def test_the_end_of_a_connection_is_told_at_once_and_it_is_opened_again(network, call, told, reset):
    node, resources = watched(network)
    call.client.watches.keep("m", wanted(1))
    assert eventually(lambda: told.count("opened") == 1)
    began = time.monotonic()
    node.cut(reset=reset)
    assert eventually(lambda: told.count("ended") == 1)
    assert time.monotonic() - began < 1
    assert eventually(lambda: told.count("opened") == 2)
    resources.change()
    assert eventually(lambda: told.count("changed") >= 2)


def test_a_machine_that_is_away_is_found_again(network, call, told):
    call.client.watches.keep("m", wanted(1))
    assert eventually(lambda: any(each.code == "ConnectionRefused" for each in call.records))
    assert told.said == []
    watched(network)
    assert eventually(lambda: told.count("opened") == 1, within_s=10)
    assert call.client.watches.is_open("m")


def test_a_stream_that_is_refused_leaves_the_others(network, call, told):
    node, resources = watched(network)

    def handler(request, context):
        if not request.HasField("id"):
            context.abort(grpc.StatusCode.PERMISSION_DENIED, "not supported")
        yield from resources(request, context)

    node.handlers["Watch"] = handler
    call.client.watches.keep("m", wanted(1))
    assert eventually(lambda: told.count("opened") == 1)
    assert ("refused", "m", 1, "PERMISSION_DENIED") in told.said
    resources.change()
    assert eventually(lambda: told.count("changed") == 1)
    assert node.accepted == 1


def test_a_machine_that_refuses_every_stream_is_not_asked_again_soon(network, call, told):
    node = network.node(1)
    node.handlers["Watch"] = refuse(grpc.StatusCode.UNIMPLEMENTED, "what is that?")
    call.client.watches.keep("m", wanted(1))
    assert eventually(lambda: told.count("refused") == 2)
    for _ in range(10):
        call.client.watches.keep("m", wanted(1))
        time.sleep(0.1)
    assert node.accepted == 1
    assert told.count("opened") + told.count("ended") == 0


def test_a_machine_that_lost_count_of_its_events_is_watched_anew(network, call, told):
    _, resources = watched(network)
    call.client.watches.keep("m", wanted(1, ONE))
    assert eventually(lambda: told.count("opened") == 1)
    resources.change("ERRORED")
    assert eventually(lambda: told.count("ended") == 1)
    assert eventually(lambda: told.count("opened") == 2)


def test_another_identity_has_a_connection_of_its_own_and_the_old_one_ends_unmentioned(network, call, told):
    node, _ = watched(network)
    call.client.watches.keep("m", wanted(1))
    assert eventually(lambda: told.count("opened") == 1)
    call.client.watches.keep("m", wanted(1, who=identity()))
    assert eventually(lambda: told.count("opened") == 2)
    assert told.count("ended") == 0
    assert eventually(lambda: len(node.open) == 1)
    assert node.accepted == 2


def test_the_same_wish_changes_nothing_and_none_ends_the_watch(network, call, told):
    node, _ = watched(network)
    for _ in range(3):
        call.client.watches.keep("m", wanted(1))
    assert eventually(lambda: told.count("opened") == 1)
    call.client.watches.keep("m", wanted(1))
    time.sleep(0.1)
    assert node.accepted == 1
    call.client.watches.keep("m", None)
    assert eventually(lambda: not node.open)
    assert call.client.watches.tokens() == []
    assert told.count("ended") == 0


def test_a_machine_that_takes_the_connection_and_says_nothing_holds_nobody_up(network, call, told):
    network.silent(1)
    watched(network, 2)
    for number in (1, 2):
        call.client.watches.keep(f"m{number}", wanted(number))
    assert eventually(lambda: told.count("opened", "m2") == 1)
    assert not call.client.watches.is_open("m1")


def test_many_machines_do_not_shake_hands_all_at_once(network, call, told):
    node, _ = watched(network)
    began = time.monotonic()
    for number in range(40):
        call.client.watches.keep(number, wanted(1, ONE))
    assert eventually(lambda: node.accepted == 40, within_s=20)
    assert time.monotonic() - began >= 0.38


def test_a_connection_at_rest_has_neither_task_nor_timer(network, call, told):
    watched(network)
    call.client.watches.keep("m", wanted(1))
    assert eventually(lambda: told.count("opened") == 1)
    kept = call.client.watches._kept["m"]
    assert (kept.timer, kept.dialling) == (None, None)


def test_after_a_loss_other_connections_to_the_machine_are_not_trusted(network, call, told):
    node, _ = watched(network)
    other = identity()
    call(address(1), other)
    call.client.watches.keep("m", wanted(1))
    assert eventually(lambda: told.count("opened") == 1)
    call(address(1), other)
    assert node.accepted == 2
    call.client._loop.call_soon_threadsafe(call.client._connections.lost, wanted(1).address)
    call(address(1), other)
    assert node.accepted == 3


class Clock:
    def __init__(self):
        self.now = 100.0

    def time(self):
        return self.now


@pytest.fixture
def losses(monkeypatch):
    from engine.ports.talos import losses as module

    clock = Clock()
    monkeypatch.setattr(module.asyncio, "get_running_loop", lambda: clock)
    return module.Losses(), clock


def silent():
    from engine.base.errors import Unreachable

    return Unreachable("no answer", source="x", sent="no", code="ConnectTimeout")


def test_a_machine_that_was_just_lost_has_to_answer_soon_and_one_that_was_not_has_its_time(losses):
    known, clock = losses
    at = wanted(1).address
    assert known.connect_s(at) == 3.0
    known.note(at)
    assert known.connect_s(at) < 1
    clock.now += 6
    assert known.connect_s(at) == 3.0


def test_a_dial_without_answer_speaks_for_a_second_and_only_of_a_machine_that_was_lost(losses):
    known, clock = losses
    at = wanted(1).address
    known.failed(at, silent())
    assert known.silence(at) is None
    known.note(at)
    known.failed(at, silent())
    assert (known.silence(at).code, known.silence(at).sent) == ("ConnectTimeout", "no")
    clock.now += 1.1
    assert known.silence(at) is None
    known.failed(at, silent())
    known.answered(at)
    assert known.silence(at) is None
    assert known.connect_s(at) == 3.0
