"""Reaching a node: each cause of failure has its code, and nothing was sent."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from contextlib import suppress

import pytest
from talos_node import DAY_S, FOREIGN, OWN, address, identity, server_context

from engine.base.errors import Unreachable
from engine.ports.talos import dial
from engine.ports.talos.address import Address, parse_address
from engine.ports.talos.identity import Identity, context_for


def failure(call, where, who, **options):
    with pytest.raises(Unreachable) as caught:
        call(where, who, **options)
    assert caught.value.sent == "no"
    assert call.records[-1].sent == "no"
    assert call.records[-1].code == caught.value.code
    return caught.value.code


def test_a_refused_dial_is_known_as_not_sent(call):
    assert failure(call, address(1), identity()) == "ConnectionRefused"


def test_a_node_whose_packets_vanish_is_given_up_after_the_connect_deadline(call, monkeypatch):
    monkeypatch.setattr(dial, "CONNECT_S", 0.3)
    with socket.socket() as listener, socket.socket() as filler, socket.socket() as more:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address(1), 50000))
        listener.listen(0)
        for end in (filler, more):
            end.setblocking(False)
            end.connect_ex((address(1), 50000))
        assert failure(call, address(1), identity()) == "ConnectTimeout"


def test_a_node_that_accepts_and_is_silent_is_given_up_after_the_hello_deadline(network, call, monkeypatch):
    monkeypatch.setattr(dial, "HELLO_S", 0.3)
    network.silent(1)
    assert failure(call, address(1), identity()) == "HandshakeTimeout"


def test_a_node_that_shakes_hands_and_says_nothing_is_told_apart(call, monkeypatch):
    monkeypatch.setattr(dial, "HELLO_S", 0.5)
    with plain_tls(1, lambda end: end.recv(1)):
        assert failure(call, address(1), identity()) == "HelloTimeout"


def test_a_server_that_is_no_talos_machine_is_told_apart(call):
    with plain_tls(1, lambda end: end.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")):
        assert failure(call, address(1), identity()) == "NotTalos"


def test_a_polite_goodbye_before_the_first_byte_ends_the_dial(call):
    with plain_tls(1, lambda _end: None):
        assert failure(call, address(1), identity()) == "ConnectionReset"


def test_a_reset_during_the_handshake_is_told_apart(network, call):
    listener = network.silent(1)

    def reset():
        end, _ = listener.accept()
        end.recv(1)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        end.close()

    thread = threading.Thread(target=reset)
    thread.start()
    assert failure(call, address(1), identity()) == "ConnectionReset"
    thread.join()


@pytest.mark.parametrize(
    ("code", "node"),
    [
        ("CertificateUnknown", {"authority": FOREIGN}),
        ("CertificateExpired", {"since_s": 2 * DAY_S}),
        ("CertificateNameMismatch", {"names": ["127.9.9.9"]}),
    ],
)
def test_a_certificate_of_the_node_that_does_not_fit_is_told_apart(network, call, code, node):
    network.node(1, server_context(**{"names": [address(1)], **node}))
    assert failure(call, address(1), identity()) == code


@pytest.mark.parametrize(
    ("code", "who"),
    [
        ("ClientCertificateRefused", identity(FOREIGN)),
        ("ClientCertificateExpired", identity(since_s=2 * DAY_S)),
        ("ClientCertificateRequired", None),
    ],
)
def test_a_node_that_refuses_our_certificate_after_our_handshake_says_why(call, code, who):
    with plain_tls(1, lambda _end: pytest.fail("this certificate should have been refused")):
        assert failure(call, address(1), who) == code


def test_a_deadline_that_ends_during_the_dial_is_known_as_not_sent(network, call):
    network.silent(1)
    assert failure(call, address(1), identity(), deadline_s=0.2) == "ConnectTimeout"
    assert failure(call, address(1), identity(), deadline_s=0.2, exclusive=True) == "ConnectTimeout"


def test_our_own_key_that_is_no_key_is_named_without_being_shown(call):
    broken = Identity(ca=OWN.crt, certificate=OWN.crt, key="not a key")
    with pytest.raises(Unreachable) as caught:
        call(address(1), broken)
    assert caught.value.code == "IdentityUnusable"
    assert "not a key" not in str(caught.value) + repr(broken)


def test_a_key_with_the_label_of_talos_is_loaded_from_memory():
    who = identity()
    assert "ED25519 PRIVATE KEY" in who.key
    assert isinstance(context_for(who), ssl.SSLContext)
    assert context_for(who) is context_for(who)


@pytest.mark.parametrize(
    "text", ["unix:/run/x", "dns:///10.0.0.1", "a b", "", "10.0.0.1:0", "10.0.0.1:99999", "http://h"]
)
def test_what_is_neither_address_nor_name_is_not_dialled(text):
    with pytest.raises(Unreachable) as caught:
        parse_address(text, loopback_only=False)
    assert (caught.value.sent, caught.value.code) == ("no", "InvalidAddress")


@pytest.mark.parametrize("text", ["10.0.0.1", "192.168.0.1:50000", "example.org", "::2", "0.0.0.0"])
def test_with_simulated_machines_nothing_outside_loopback_is_dialled(text):
    with pytest.raises(Unreachable) as caught:
        parse_address(text, loopback_only=True)
    assert (caught.value.sent, caught.value.code) == ("no", "NotLoopback")


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1", "127.0.0.1", 50000),
        ("127.0.0.1:50010", "127.0.0.1", 50010),
        ("::1", "::1", 50000),
        ("[::1]:50010", "::1", 50010),
        ("cp-1.example.org", "cp-1.example.org", 50000),
    ],
)
def test_an_address_has_the_port_of_talos_unless_it_says_another(text, host, port):
    assert parse_address(text, loopback_only=False) == Address(host, port)


class plain_tls:  # noqa: N801 - used like a function
    """A TLS server of Python's ssl for one connection; `speak` does what comes after the handshake."""

    def __init__(self, number, speak):
        self._listener = socket.create_server((address(number), 50000))
        self._context = server_context([address(number)])
        self._speak = speak
        self._thread = threading.Thread(target=self._serve)

    def _serve(self):
        end, _ = self._listener.accept()
        with end, suppress(ssl.SSLError), self._context.wrap_socket(end, server_side=True) as secured:
            self._speak(secured)
            # Without it, closing is an end without goodbye.
            secured.unwrap()

    def __enter__(self):
        self._thread.start()

    def __exit__(self, *_):
        self._thread.join(5)
        self._listener.close()
