"""Client streams over real TLS: every message arrives in order, and how far a failed one came is known."""

from __future__ import annotations

import asyncio
import contextlib
import threading

import grpc
import pytest
from talos_node import FOREIGN, address, eventually, identity, reply

from engine import protocol
from engine.base.errors import OutcomeUnknown, Refused, Unreachable

WHO = identity()
RECOVER = "machine.MachineService/EtcdRecover"
DATA = protocol.message_class("common.Data")


def taking(into, *, then=None, gate=None):
    """A handler that takes every message, and then answers or does what is asked."""

    def handler(messages, context):
        for message in messages:
            into.append(message.bytes)
            if gate is not None and len(into) == 3:
                gate.wait(20)
        if then is not None:
            context.abort(*then)
        answer = reply("EtcdRecoverResponse")
        answer.messages.add()
        return answer

    return handler


async def pieces(count, size=1000):
    for number in range(count):
        await asyncio.sleep(0)
        yield DATA(bytes=number.to_bytes(4, "big") * (size // 4))


def upload(call, where, messages, who=WHO, deadline_s=10.0):
    work = call.client.upload(where, who, RECOVER, messages, deadline_s=deadline_s)
    return call.client.run(work, timeout_s=30)


def test_every_message_arrives_in_order_over_a_connection_of_its_own(network, call):
    node, came = network.node(1), []
    node.handlers["EtcdRecover"] = taking(came)
    call(address(1), WHO)
    answer = upload(call, address(1), pieces(300, 65536))
    assert len(answer.messages) == 1
    assert [int.from_bytes(each[:4], "big") for each in came] == list(range(300))
    assert node.accepted == 2
    assert [(each.method, each.code, each.sent) for each in call.records[1:]] == [(RECOVER, "OK", "yes")]


def test_a_refusal_in_the_middle_ends_it_with_the_nodes_words(network, call):
    def handler(messages, context):
        next(messages)
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "etcd service is not ready for recovery yet")

    network.node(1).handlers["EtcdRecover"] = handler
    with pytest.raises(Refused, match="not ready for recovery") as caught:
        upload(call, address(1), pieces(100_000, 65536))
    assert caught.value.sent == "yes"


def test_a_source_that_breaks_is_raised_and_the_node_never_sees_an_end(network, call):
    cancelled = threading.Event()
    came = []

    def handler(messages, context):
        # grpcio's server tells a cancelled stream from one that has ended a moment late.
        with contextlib.suppress(grpc.RpcError):
            came.extend(message.bytes for message in messages)  # one by one, as they arrive
        if eventually(lambda: not context.is_active()):
            cancelled.set()
        return reply("EtcdRecoverResponse")

    async def breaking():
        yield DATA(bytes=b"first")
        await asyncio.to_thread(eventually, lambda: came)
        raise OSError(5, "the disk is broken")

    network.node(1).handlers["EtcdRecover"] = handler
    with pytest.raises(OSError, match="the disk is broken"):
        upload(call, address(1), breaking())
    assert eventually(cancelled.is_set)


@pytest.mark.parametrize("reset", [True, False])
def test_an_upload_that_is_cut_may_have_arrived(network, call, reset):
    gate, came = threading.Event(), []
    node = network.node(1)
    node.handlers["EtcdRecover"] = taking(came, gate=gate)
    cutter = threading.Thread(target=lambda: (eventually(lambda: len(came) == 3), node.cut(reset=reset)))
    cutter.start()
    with pytest.raises(OutcomeUnknown) as caught:
        upload(call, address(1), pieces(100_000, 65536))
    gate.set()
    cutter.join()
    assert caught.value.sent == "unknown"


def test_what_cannot_be_dialled_was_not_sent(network, call):
    network.node(1)
    for where, who in ((address(2), WHO), (address(1), identity(FOREIGN))):
        with pytest.raises(Unreachable) as caught:
            upload(call, where, pieces(3), who)
        assert caught.value.sent == "no"
        assert call.records[-1].sent == "no"


def test_a_node_that_takes_nothing_is_given_up_at_the_deadline(network, call):
    gate, came = threading.Event(), []
    network.node(1).handlers["EtcdRecover"] = taking(came, gate=gate)
    with pytest.raises(OutcomeUnknown) as caught:
        upload(call, address(1), pieces(100_000, 65536), deadline_s=1.0)
    gate.set()
    assert caught.value.code == "DEADLINE_EXCEEDED"
