"""Heavy streams over real TLS: whole, cut, refused, silent; and what is counted of them."""

from __future__ import annotations

import threading

import grpc
import pytest
from talos_node import FOREIGN, address, eventually, identity, refuse, server_context

from engine import protocol
from engine.base.errors import Denied, OutcomeUnknown, Unreachable

WHO = identity()
SNAPSHOT = "machine.MachineService/EtcdSnapshot"


def chunks(count, *, then=None, gate=None):
    """A handler that sends `count` pieces of 1 KiB, as Talos does, and then does what is asked."""

    def handler(_request, context):
        data = protocol.message_class("common.Data")
        for number in range(count):
            yield data(bytes=number.to_bytes(4, "big") * 256)
        if gate is not None:
            gate.wait(20)
        if then is not None:
            context.abort(*then)

    return handler


def received(call, where, who=WHO, *, silence_s=5.0):
    request = protocol.to_message(protocol.methods()[SNAPSHOT], {})
    stream = call.client.receive(where, who, SNAPSHOT, request, dial_s=5.0, silence_s=silence_s)
    taken = []
    with stream:
        for each in stream:
            taken.append(protocol.message_class("common.Data").FromString(bytes(each)).bytes)
            if len(taken) == 1:
                yield taken
    yield taken


def whole(call, *rest, **options):
    *_, taken = received(call, *rest, **options)
    return taken


def test_every_piece_of_a_snapshot_comes_in_order_and_the_call_is_counted_once(network, call):
    network.node(1).handlers["EtcdSnapshot"] = chunks(3000)
    taken = whole(call, address(1))
    assert [int.from_bytes(each[:4], "big") for each in taken] == list(range(3000))
    assert [(each.method, each.code, each.sent) for each in call.records] == [(SNAPSHOT, "OK", "yes")]


def test_an_error_of_the_node_is_raised_after_what_came_before_it(network, call):
    failing = chunks(5, then=(grpc.StatusCode.PERMISSION_DENIED, "not for readers"))
    network.node(1).handlers["EtcdSnapshot"] = failing
    with pytest.raises(Denied, match="not for readers") as caught:
        whole(call, address(1))
    assert caught.value.sent == "yes"
    assert call.records[-1].code == "PERMISSION_DENIED"


def test_a_refusal_without_any_piece_says_why(network, call):
    network.node(1).handlers["EtcdSnapshot"] = refuse(grpc.StatusCode.UNAVAILABLE, "etcd is down")
    with pytest.raises(OutcomeUnknown, match="etcd is down"):
        whole(call, address(1))


@pytest.mark.parametrize("reset", [True, False])
def test_a_stream_that_is_cut_never_looks_whole(network, call, reset):
    gate = threading.Event()
    node = network.node(1)
    node.handlers["EtcdSnapshot"] = chunks(5, gate=gate)
    stream = received(call, address(1))
    next(stream)
    node.cut(reset=reset)
    with pytest.raises(OutcomeUnknown):
        next(stream)
    gate.set()
    assert call.records[-1].code == "UNAVAILABLE"


def test_a_node_that_goes_silent_is_given_up(network, call):
    gate = threading.Event()
    network.node(1).handlers["EtcdSnapshot"] = chunks(5, gate=gate)
    with pytest.raises(OutcomeUnknown, match=r"nothing came for 0\.3 s"):
        whole(call, address(1), silence_s=0.3)
    gate.set()


def test_a_caller_that_leaves_ends_the_connection(network, call):
    gate = threading.Event()
    node = network.node(1)
    node.handlers["EtcdSnapshot"] = chunks(5, gate=gate)
    request = protocol.to_message(protocol.methods()[SNAPSHOT], {})
    with call.client.receive(address(1), WHO, SNAPSHOT, request, dial_s=5, silence_s=5) as stream:
        next(iter(stream))
    assert eventually(lambda: not node.open)
    gate.set()
    assert call.records[-1].code == "OK"


def test_what_cannot_be_dialled_is_known_as_not_sent(network, call):
    network.node(1, server_context([address(1)], authority=FOREIGN))
    with pytest.raises(Unreachable) as caught:
        whole(call, address(1))
    assert (caught.value.code, caught.value.sent) == ("CertificateUnknown", "no")
    with pytest.raises(Unreachable) as caught:
        whole(call, address(2))
    assert caught.value.code == "ConnectionRefused"
    assert [each.sent for each in call.records] == ["no", "no"]
