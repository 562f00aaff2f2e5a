"""The relay between a node and gRPC: all bytes, little memory, an end that is an end."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import ssl
import threading
from contextlib import suppress

import pytest
from talos_node import address, eventually, identity, server_context

from engine.ports.talos.address import Address
from engine.ports.talos.dial import dial
from engine.ports.talos.relay import Relay

SETTINGS = b"\0\0\0\4\0\0\0\0\0"
BODY = hashlib.sha256(b"seed").digest() * (1 << 18)


class Bench:
    """A TLS node that does as told on one thread, a relay on a loop of its own, and the local end in `local`."""

    def __init__(self, speak):
        self._listener = socket.create_server((address(1), 50000))
        self._context = server_context([address(1)])
        self._speak = speak
        self.loop = asyncio.new_event_loop()
        self._threads = [threading.Thread(target=self._node), threading.Thread(target=self.loop.run_forever)]
        for thread in self._threads:
            thread.start()
        self.local, inner = socket.socketpair()
        self.local.settimeout(10)
        inner.setblocking(False)
        self.ended = 0
        self.relay = asyncio.run_coroutine_threadsafe(self._start(inner), self.loop).result(10)

    async def _start(self, inner):
        node = await dial(Address(address(1), 50000), identity())
        return Relay(node, inner, self._end)

    def _end(self):
        self.ended += 1

    def _node(self):
        end, _ = self._listener.accept()
        with suppress(OSError), self._context.wrap_socket(end, server_side=True) as secured:
            secured.sendall(SETTINGS)
            self._speak(secured)

    def close(self):
        self.loop.call_soon_threadsafe(self.relay.close)
        self.loop.call_soon_threadsafe(self.loop.stop)
        for thread in self._threads:
            thread.join(10)
        self.local.close()
        self.loop.close()
        self._listener.close()


@pytest.fixture
def bench():
    made = []

    def make(speak):
        made.append(Bench(speak))
        return made[-1]

    yield make
    for one in made:
        one.close()


def received(end):
    whole = b""
    while data := end.recv(1 << 20):
        whole += data
    return whole


def test_what_the_node_said_before_it_ended_is_handed_down_whole(bench):
    def speak(secured):
        secured.sendall(BODY)
        # Blocks until the other side answers the goodbye or goes; a relay that spins would do neither.
        with suppress(ssl.SSLError):
            secured.unwrap()

    one = bench(speak)
    assert received(one.local) == SETTINGS + BODY
    assert eventually(lambda: one.ended == 1)


def test_what_goes_up_arrives_whole(bench):
    got = []

    def speak(secured):
        while sum(map(len, got)) < len(BODY):
            got.append(secured.recv(1 << 16))

    one = bench(speak)
    one.local.sendall(BODY)
    assert eventually(lambda: b"".join(got) == BODY)


def test_a_reader_that_is_slow_holds_the_node_back(bench):
    sent = []

    def speak(secured):
        sent.extend(secured.send(b"x" * (1 << 20)) for _ in range(64))

    one = bench(speak)
    assert eventually(lambda: len(one.relay._to_local) >= 1 << 18)
    # Until the kernel's buffers are full as well, the node may go on.
    assert eventually(lambda: _at_rest(sent))
    assert len(one.relay._to_local) <= (1 << 18) + (1 << 17)
    assert len(sent) < 64


def _at_rest(sent):
    before = len(sent)
    threading.Event().wait(0.1)
    return len(sent) == before


def test_a_node_that_does_not_read_holds_grpc_back(bench):
    go_on = threading.Event()
    one = bench(lambda _secured: go_on.wait(10))
    one.local.settimeout(0.3)
    with pytest.raises(TimeoutError):
        one.local.sendall(b"x" * (64 << 20))
    assert len(one.relay._to_node) <= (1 << 18) + (1 << 17)
    go_on.set()


def test_the_end_of_the_local_side_ends_the_connection_once(bench):
    ended = threading.Event()

    def speak(secured):
        with suppress(OSError):
            while secured.recv(1):
                pass
        ended.set()

    one = bench(speak)
    one.local.shutdown(socket.SHUT_RDWR)
    assert ended.wait(5)
    assert eventually(lambda: one.ended == 1)
