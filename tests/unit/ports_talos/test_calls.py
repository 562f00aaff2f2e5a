"""Calls over real TLS: what comes back, what is counted, what is known to have been sent."""

from __future__ import annotations

import asyncio
import random
import stat
import threading
import time

import grpc
import pytest
from talos_node import address, eventually, identity, refuse, reply

from engine import protocol
from engine.base.errors import Denied, Missing, OutcomeUnknown, Refused, RemoteError, Throttled
from engine.ports.talos import connections, dial
from engine.ports.talos.frames import RequestCounter

WHO = identity()


def test_a_call_over_mutual_tls_with_ed25519_keys_gets_its_reply(network, call):
    network.node(1)
    assert call(address(1), WHO)[0].messages[0].version.tag == "v1.13.0"
    record = call.records[-1]
    assert (record.method, record.address, record.code, record.sent) == (
        "machine.MachineService/Version",
        address(1),
        "OK",
        "yes",
    )
    assert record.seconds > 0


def test_calls_to_one_node_share_a_connection_and_an_exclusive_call_has_its_own(network, call):
    node = network.node(1)
    for _ in range(5):
        call(address(1), WHO)
    assert node.accepted == 1
    call(address(1), WHO, exclusive=True)
    assert node.accepted == 2
    assert eventually(lambda: len(node.open) == 1)


def test_at_most_the_capacity_of_connections_stays_open(network, callers):
    call = callers(capacity=2)
    nodes = [network.node(number) for number in range(1, 6)]
    for node in nodes:
        call(node.address, WHO)
    assert eventually(lambda: sum(len(node.open) for node in nodes) == 2)
    call(nodes[-1].address, WHO)
    assert nodes[-1].accepted == 1


def test_a_connection_that_nobody_uses_is_ended(network, callers, monkeypatch):
    monkeypatch.setattr(connections, "IDLE_S", 0.2)
    node, call = network.node(1), callers()
    call(address(1), WHO)
    assert len(node.open) == 1
    assert eventually(lambda: not node.open)
    assert call(address(1), WHO)[0].messages


def test_a_connection_that_the_node_ended_is_dialled_anew(network, call):
    node = network.node(1)
    call(address(1), WHO)
    node.cut(reset=True)
    assert eventually(lambda: not node.open)
    assert eventually(lambda: _succeeds(call))
    assert node.accepted >= 2


def _succeeds(call, method="Version"):
    try:
        return bool(call(address(1), WHO, method))
    except RemoteError:
        return False


def test_no_key_and_no_socket_stays_on_the_disk(network, call):
    network.node(1)
    call(address(1), WHO)
    folder = call.client._connections._folder
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert list(folder.iterdir()) == []
    call.client.close()
    assert not folder.exists()


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (grpc.StatusCode.NOT_FOUND, Missing),
        (grpc.StatusCode.PERMISSION_DENIED, Denied),
        (grpc.StatusCode.FAILED_PRECONDITION, Refused),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, Throttled),
        (grpc.StatusCode.INTERNAL, RemoteError),
    ],
)
def test_a_status_of_the_node_is_an_error_of_its_kind_that_was_sent(network, call, code, error):
    network.node(1).handlers["Version"] = refuse(code, "because")
    with pytest.raises(error) as caught:
        call(address(1), WHO)
    assert (caught.value.code, caught.value.sent) == (code.name, "yes")
    assert str(caught.value) == f"machine.MachineService/Version {address(1)}:50000: because"


def test_an_error_inside_a_reply_that_says_ok_is_an_error(network, call):
    def hidden(_request, _context):
        answer = reply("VersionResponse")
        metadata = answer.messages.add().metadata
        metadata.error, metadata.status.code = "no such node", grpc.StatusCode.NOT_FOUND.value[0]
        return answer

    network.node(1).handlers["Version"] = hidden
    with pytest.raises(Missing, match="no such node"):
        call(address(1), WHO)


def test_a_stream_is_collected_up_to_its_limit(network, call):
    def dmesg(_request, context):
        while context.is_active():
            yield protocol.message_class("common.Data")(bytes=b"line")

    network.node(1).handlers["Dmesg"] = dmesg
    assert len(call(address(1), WHO, "Dmesg", limit=7)) == 7
    assert call(address(1), WHO)[0].messages


def test_a_large_reply_passes(network, call):
    def dmesg(_request, _context):
        yield protocol.message_class("common.Data")(bytes=b"x" * (20 << 20))

    network.node(1).handlers["Dmesg"] = dmesg
    assert len(call(address(1), WHO, "Dmesg")[0].bytes) == 20 << 20


@pytest.mark.parametrize("exclusive", [False, True])
def test_a_call_that_is_not_answered_in_time_may_have_been_sent(network, call, exclusive):
    node, go_on = network.node(1), threading.Event()
    node.handlers["Version"] = lambda _request, _context: (go_on.wait(10), reply("VersionResponse"))[1]
    with pytest.raises(OutcomeUnknown) as caught:
        call(address(1), WHO, deadline_s=0.5, exclusive=exclusive)
    go_on.set()
    assert (caught.value.code, caught.value.sent) == ("DEADLINE_EXCEEDED", "unknown")
    assert node.received["Version"] == 1


@pytest.mark.parametrize("exclusive", [False, True])
def test_a_call_that_the_node_cuts_off_may_have_been_sent(network, call, exclusive):
    node = network.node(1)

    def cut(_request, _context):
        node.cut(reset=True)
        time.sleep(0.2)
        return reply("VersionResponse")

    node.handlers["Version"] = cut
    with pytest.raises(OutcomeUnknown) as caught:
        call(address(1), WHO, exclusive=exclusive)
    assert (caught.value.code, caught.value.sent) == ("UNAVAILABLE", "unknown")


@pytest.mark.parametrize("exclusive", [False, True])
def test_what_is_said_not_to_have_been_sent_never_reached_the_node(network, call, exclusive):
    node, chance, arrived = network.node(1), random.Random(1), set()
    told = {"no": set(), "unknown": set(), "OK": set()}

    def serve(request, _context):
        arrived.add(request.id)
        return reply("ServiceStartResponse")

    node.handlers["ServiceStart"] = serve
    for number in map(str, range(150)):
        timer = threading.Timer(chance.uniform(0, 0.012), node.cut, kwargs={"reset": chance.random() < 0.5})
        timer.start()
        try:
            call(address(1), WHO, "ServiceStart", request={"id": number}, exclusive=exclusive, deadline_s=5.0)
            outcome = "OK"
        except RemoteError as error:
            outcome = error.sent
        timer.join()
        told[outcome].add(number)
    # Whatever is still on its way arrives before this one.
    assert eventually(lambda: _succeeds(call, "ServiceStart"))
    assert not told["no"] & arrived
    assert told["OK"] <= arrived
    assert told["no"]


def test_a_call_that_is_under_way_when_the_client_is_closed_has_an_unknown_outcome(network, call):
    node, reached, go_on, errors = network.node(1), threading.Event(), threading.Event(), []

    def slow(_request, _context):
        reached.set()
        go_on.wait(10)
        return reply("VersionResponse")

    def ask():
        try:
            call(address(1), WHO)
        except RemoteError as error:
            errors.append(error)

    node.handlers["Version"] = slow
    thread = threading.Thread(target=ask)
    thread.start()
    assert reached.wait(5)
    call.client.close()
    thread.join(5)
    go_on.set()
    assert [error.sent for error in errors] == ["unknown"]


def test_callers_of_a_node_that_does_not_answer_wait_for_one_dial_together(network, call, monkeypatch):
    monkeypatch.setattr(dial, "HELLO_S", 0.3)
    listener = network.silent(1)
    listener.settimeout(0.2)

    async def all_at_once():
        return await asyncio.gather(*(call.work(address(1), WHO) for _ in range(5)), return_exceptions=True)

    errors = call.client.run(all_at_once(), timeout_s=10)
    assert [error.code for error in errors] == ["HandshakeTimeout"] * 5
    listener.accept()[0].close()
    with pytest.raises(TimeoutError):
        listener.accept()


def test_a_caller_that_gives_up_does_not_take_the_dial_from_the_others(network, call):
    network.node(1)

    async def two():
        hasty = asyncio.ensure_future(call.work(address(1), WHO))
        patient = asyncio.ensure_future(call.work(address(1), WHO))
        await asyncio.sleep(0)
        hasty.cancel()
        return await patient

    assert call.client.run(two(), timeout_s=10)[0].messages


def test_a_hundred_silent_nodes_delay_nobody(network, call, monkeypatch):
    monkeypatch.setattr(dial, "HELLO_S", 2.0)
    for number in range(101, 201):
        network.silent(number)
    network.node(1)

    async def among_them():
        lost = [asyncio.ensure_future(call.work(address(number), WHO)) for number in range(101, 201)]
        await asyncio.sleep(0)
        answer = await call.work(address(1), WHO)
        still_waiting = sum(not task.done() for task in lost)
        errors = await asyncio.gather(*lost, return_exceptions=True)
        return answer, still_waiting, {error.code for error in errors}

    answer, still_waiting, codes = call.client.run(among_them(), timeout_s=30)
    assert answer[0].messages
    assert still_waiting == 100
    assert codes == {"HandshakeTimeout"}


@pytest.mark.parametrize("step", [1, 7, 9, 100000])
def test_requests_are_counted_however_the_bytes_are_cut(step):
    def frame(kind, payload):
        return len(payload).to_bytes(3, "big") + bytes([kind, 0]) + b"\0\0\0\1" + payload

    stream = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, b"") + frame(1, b"\x01" * 300)
    stream += frame(0, b"\x01\x01" * 5000) + frame(8, b"abcd") + frame(1, b"") + frame(6, b"8" * 8)
    counter = RequestCounter()
    for place in range(0, len(stream), step):
        counter.feed(stream[place : place + step])
    assert counter.requests == 2
