"""The HTTP server of metrics and probes, over real sockets and real TLS."""

from __future__ import annotations

import gzip
import http.client
import socket
import ssl
import threading
from pathlib import Path

import pytest

from engine.base.errors import SettingsError
from engine.listener import Listener, Request, Response
from engine.serve import ServingCertificate
from engine.settings import BindAddress
from tests.sim.shipped import until

LOOPBACK = BindAddress("127.0.0.1", 0)


@pytest.fixture
def serve():
    started = []

    def start(handler, **more):
        listener = Listener(LOOPBACK, "--flag", handler, **more)
        listener.start()
        started.append(listener)
        return listener

    yield start
    for listener in started:
        listener.stop()


def echo(request: Request) -> Response:
    return Response(200, f"{request.method} {request.path} {dict(request.query)}".encode())


def get(port, path="/", headers=None, method="GET"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request(method, path, headers=headers or {})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer, body


def test_a_request_gets_its_answer(serve):
    answer, body = get(serve(echo).port, "/metrics?a=1&b")
    assert answer.status == 200
    assert body == b"GET /metrics {'a': ['1'], 'b': ['']}"
    assert answer.headers["Connection"] == "close"


def test_silent_clients_do_not_block_others(serve):
    listener = serve(echo, context=ServingCertificate().context)
    silent = [socket.create_connection(("127.0.0.1", listener.port)) for _ in range(40)]
    half = socket.create_connection(("127.0.0.1", listener.port))
    half.sendall(b"\x16\x03\x01")
    connection = http.client.HTTPSConnection("127.0.0.1", listener.port, timeout=2, context=careless())
    connection.request("GET", "/")
    with connection.getresponse() as answer:
        assert answer.status == 200
    for each in (*silent, half):
        each.close()
    connection.close()


def test_a_client_that_never_ends_its_request_is_let_go(serve, monkeypatch):
    monkeypatch.setattr("engine.listener._PATIENCE_S", 0.2)
    slow = socket.create_connection(("127.0.0.1", serve(echo).port), timeout=5)
    slow.sendall(b"GET / HTTP/1.1\r\n")
    assert slow.recv(10) == b""
    slow.close()


def test_a_slow_answer_does_not_block_a_quick_one(serve):
    release = threading.Event()

    def handler(request):
        if request.path == "/slow":
            release.wait(5)
        return Response(200, b"ok")

    listener = serve(handler)
    slow = threading.Thread(target=get, args=(listener.port, "/slow"))
    slow.start()
    assert get(listener.port, "/quick")[1] == b"ok"
    release.set()
    slow.join()


LONG = b"x" * (16 << 20)
"""More than the buffers of both ends hold."""


def long_or_short(request):
    return Response(200, LONG if request.path == "/long" else b"ok")


def careless():
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def lazy_client(port, context):
    """One that has seen the first bytes of a long answer and takes no more."""
    sock = context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=10))
    sock.sendall(b"GET /long HTTP/1.1\r\n\r\n")
    assert sock.recv(8) == b"HTTP/1.1"
    return sock


def descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


def test_clients_that_do_not_take_their_answers_block_no_others(serve, monkeypatch):
    monkeypatch.setattr("engine.listener._PATIENCE_S", 60.0)
    listener, context = serve(long_or_short, context=ServingCertificate().context), careless()
    lazy = [lazy_client(listener.port, context) for _ in range(12)]
    connection = http.client.HTTPSConnection("127.0.0.1", listener.port, timeout=10, context=context)
    connection.request("GET", "/")
    assert connection.getresponse().read() == b"ok"
    for each in (connection, *lazy):
        each.close()


def test_a_client_that_does_not_take_its_answer_is_let_go(serve, monkeypatch):
    monkeypatch.setattr("engine.listener._PATIENCE_S", 0.3)
    listener = serve(long_or_short, context=ServingCertificate().context)
    before = descriptors()
    with lazy_client(listener.port, careless()):
        until("only its own end is left", lambda: descriptors() <= before + 1)


def test_who_takes_its_answer_slowly_gets_the_whole_of_it(serve):
    listener = serve(long_or_short, context=ServingCertificate().context)
    with lazy_client(listener.port, careless()) as sock:
        taken = sum(len(piece) for piece in iter(lambda: sock.recv(1 << 20), b""))
    assert taken > len(LONG), "behind its head"


def test_a_long_answer_is_packed_for_who_accepts_it(serve):
    text = b"a_metric 1\n" * 1000
    listener = serve(lambda request: Response(200, text))
    answer, body = get(listener.port, headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(body) == text
    answer, body = get(listener.port)
    assert "Content-Encoding" not in answer.headers
    assert body == text


def test_head_gets_no_body_and_other_methods_are_refused(serve):
    listener = serve(echo)
    answer, body = get(listener.port, "/x", method="HEAD")
    assert (answer.status, body) == (200, b"")
    assert get(listener.port, "/x", method="POST")[0].status == 405


@pytest.mark.parametrize(
    "text", [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nno colon\r\n\r\n", b"GET x HTTP/1.1\r\n\r\n"]
)
def test_what_is_no_request_is_answered_so(serve, text):
    sock = socket.create_connection(("127.0.0.1", serve(echo).port), timeout=5)
    sock.sendall(text)
    assert sock.recv(100).startswith(b"HTTP/1.1 400 ")
    sock.close()


def test_a_request_without_end_is_cut_off(serve):
    sock = socket.create_connection(("127.0.0.1", serve(echo).port), timeout=5)
    with pytest.raises(OSError):  # noqa: PT012  # where it shows depends on the kernel's buffers
        for _ in range(1000):
            sock.sendall(b"x" * 10_000)
    sock.close()


def test_a_handler_that_fails_is_an_internal_error_without_details(serve, caplog):
    def handler(request):
        raise RuntimeError("the secret")

    answer, body = get(serve(handler).port)
    assert (answer.status, body) == (500, b"internal error\n")


def test_a_port_in_use_is_told_with_the_flag_and_the_port(serve):
    taken = serve(echo).port
    with pytest.raises(SettingsError) as told:
        Listener(BindAddress("127.0.0.1", taken), "--metrics-bind-address", echo)
    assert str(told.value) == (
        f"--metrics-bind-address: cannot listen on 127.0.0.1:{taken}: Address already in use; "
        "name another address, or 0 for none"
    )


def test_after_stop_the_port_is_free_again():
    listener = Listener(LOOPBACK, "--flag", echo)
    listener.start()
    listener.stop()
    again = Listener(BindAddress("127.0.0.1", listener.port), "--flag", echo)
    again.start()
    assert get(again.port)[0].status == 200
    again.stop()
