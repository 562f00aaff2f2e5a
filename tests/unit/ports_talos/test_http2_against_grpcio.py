"""The engine's own receive path and grpcio are told the same, frame by frame, and understand the same.

Two things are left out because grpcio does not do them: it refuses padded frames, and of a call that
fails it may drop messages that came before.
"""

from __future__ import annotations

import contextlib
import os
import random
import socket

import grpc
import pytest

from engine.ports.talos.http2 import ServerStream
from tests.unit.ports_talos.http2_script import drawn, playing

SEED = int(os.environ.get("TALOS_OPERATOR_TEST_SEED", "20261128"))
COUNT = int(os.environ.get("TALOS_OPERATOR_TEST_RUNS", "40"))
METHOD = "machine.MachineService/EtcdSnapshot"
OPTIONS = (("grpc.enable_retries", 0), ("grpc.max_receive_message_length", 32 << 20))


def by_grpcio(port):
    """Messages, status number and text as grpcio understands them."""
    messages = []
    with grpc.insecure_channel(f"127.0.0.1:{port}", OPTIONS) as channel:
        call = channel.unary_stream(f"/{METHOD}", bytes, bytes)(b"request", timeout=10)
        with contextlib.suppress(grpc.RpcError):
            messages.extend(call)
        return messages, call.code().value[0], call.details()


def by_us(port, seed):
    """The same, received in pieces of drawn sizes."""
    draw = random.Random(seed)
    stream = ServerStream(f"127.0.0.1:{port}", METHOD, b"request")
    messages = []
    with socket.create_connection(("127.0.0.1", port), timeout=10) as node:
        while stream.ended is None:
            if stream.outgoing:
                node.sendall(stream.outgoing)
                stream.outgoing.clear()
            data = node.recv(draw.choice((1, 20, 5000, 65536)))
            if not data:
                stream.lost("the connection ended")
                break
            messages.extend(bytes(each) for each in stream.feed(data))
    return messages, stream.ended.status.number, stream.ended.status.message


@pytest.mark.parametrize("seed", random.Random(SEED).sample(range(1 << 32), COUNT))
def test_both_understand_the_same(seed):
    script = drawn(seed, padding=False)
    with playing(script) as port:
        theirs, ours = by_grpcio(port), by_us(port, seed)
    assert ours[1] == theirs[1], (ours[1:], theirs[1:])
    if theirs[1] == 0:
        assert ours[0] == theirs[0]
    else:
        assert ours[0][: len(theirs[0])] == theirs[0]
        if not theirs[2].startswith(("Stream removed", "Received http2", "No status")):
            assert ours[2] == theirs[2]
