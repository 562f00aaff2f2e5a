"""A small HTTP server for metrics and probes that no client can hold up.

One thread waits for all connections at once: it accepts, shakes hands, reads, and writes what a client did not take
at once, so that a silent or slow client costs a file descriptor until its time is up and nothing else. Few workers
answer: one request a connection, then it is closed. Never routes. Neighbours: `health` and `serve` give it their
handlers.
"""

from __future__ import annotations

import contextlib
import gzip
import logging
import queue
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final, cast
from urllib.parse import parse_qs, urlsplit

from engine.base.errors import SettingsError
from engine.settings import BindAddress

log = logging.getLogger(__name__)

_PATIENCE_S: Final = 5.0
_MOST_CONNECTIONS: Final = 256
_MOST_HEAD: Final = 16 << 10
_WORKERS: Final = 4
_WORTH_PACKING: Final = 1 << 10
PLAIN_TEXT: Final = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked. Header names are lower case; `query` has every value of a name.

    `certificate`: the subject of the client certificate that the handshake accepted, by attribute; empty without one.
    """

    method: str
    path: str
    query: Mapping[str, list[str]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    certificate: Mapping[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Response:
    """What is answered."""

    status: int
    body: bytes
    content_type: str = PLAIN_TEXT
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[[Request], Response]


@dataclass(slots=True, eq=False)
class _Connection:
    """One client: until its request is complete, and while it has yet to take its answer."""

    sock: socket.socket
    until: float
    greeted: bool
    head: bytes = b""
    answer: memoryview | None = None


class Listener:
    """One address served over HTTP/1.1, or HTTPS when `context` gives the TLS context of the moment."""

    def __init__(
        self,
        address: BindAddress,
        flag: str,
        handler: Handler,
        *,
        context: Callable[[], ssl.SSLContext] | None = None,
    ) -> None:
        """Binds at once; raises SettingsError naming `flag` when the address cannot be had."""
        self._handler = handler
        self._context = context
        self._socket = _bound(address, flag)
        self.port: int = self._socket.getsockname()[1]
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._socket, selectors.EVENT_READ)
        self._wake_read, self._wake_write = socket.socketpair()
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        self._wake_read.setblocking(False)
        self._wake_write.setblocking(False)
        self._leaving: queue.SimpleQueue[_Connection] = queue.SimpleQueue()
        self._complete: queue.Queue[_Connection | None] = queue.Queue(_MOST_CONNECTIONS)
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._wait, name=f"listen-{self.port}", daemon=True)]
        self._threads += [
            threading.Thread(target=self._work, name=f"answer-{self.port}-{number}", daemon=True)
            for number in range(_WORKERS)
        ]

    def start(self) -> None:
        """Begin to answer."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Close the address; answers under way get a moment to end."""
        self._stopping.set()
        self._wake()
        for _ in range(_WORKERS):
            self._complete.put(None)
        for thread in self._threads:
            if thread.is_alive():
                thread.join(_PATIENCE_S)
        for each in (self._socket, self._wake_read, self._wake_write):
            each.close()
        self._selector.close()

    def _wait(self) -> None:
        while not self._stopping.is_set():
            for key, _ in self._selector.select(timeout=1.0):
                if key.fileobj is self._socket:
                    self._accept()
                elif isinstance(key.data, _Connection):
                    self._advance(key.data)
                else:
                    self._take_leaving()
            self._expire(time.monotonic())
        self._expire(float("inf"))

    def _connections(self) -> list[_Connection]:
        return [key.data for key in self._selector.get_map().values() if isinstance(key.data, _Connection)]

    def _accept(self) -> None:
        try:
            sock, _ = self._socket.accept()
        except OSError:
            return
        if len(self._selector.get_map()) > _MOST_CONNECTIONS:
            sock.close()
            return
        sock.setblocking(False)
        if self._context is not None:
            try:
                sock = self._context().wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
            except OSError:
                sock.close()
                return
        connection = _Connection(sock, time.monotonic() + _PATIENCE_S, greeted=self._context is None)
        self._selector.register(sock, selectors.EVENT_READ, connection)

    def _advance(self, connection: _Connection) -> None:
        """Read what is there; hand the connection on when the head of its request is complete. Or write on."""
        if connection.answer is not None:
            self._write_on(connection)
            return
        try:
            if not connection.greeted:
                cast("ssl.SSLSocket", connection.sock).do_handshake()
                connection.greeted = True
            while b"\r\n\r\n" not in connection.head:
                piece = connection.sock.recv(_MOST_HEAD)
                connection.head += piece
                if not piece or len(connection.head) > _MOST_HEAD:
                    self._give_up(connection)
                    return
        except ssl.SSLWantWriteError:
            self._selector.modify(connection.sock, selectors.EVENT_WRITE, connection)
        except (ssl.SSLWantReadError, BlockingIOError):
            self._selector.modify(connection.sock, selectors.EVENT_READ, connection)
        except OSError:
            self._give_up(connection)
        else:
            self._selector.unregister(connection.sock)
            try:
                self._complete.put_nowait(connection)
            except queue.Full:
                connection.sock.close()

    def _write_on(self, connection: _Connection) -> None:
        try:
            done = _written_out(connection)
        except OSError:
            done = True
        if done:
            self._give_up(connection)

    def _take_leaving(self) -> None:
        """Wait for the clients that did not take their whole answer at once."""
        with contextlib.suppress(BlockingIOError):
            self._wake_read.recv(_MOST_CONNECTIONS)
        while not self._leaving.empty():
            connection = self._leaving.get()
            self._selector.register(connection.sock, selectors.EVENT_WRITE, connection)

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._wake_write.send(b"x")

    def _give_up(self, connection: _Connection) -> None:
        self._selector.unregister(connection.sock)
        connection.sock.close()

    def _expire(self, now: float) -> None:
        for connection in self._connections():
            if connection.until <= now:
                self._give_up(connection)

    def _work(self) -> None:
        while (connection := self._complete.get()) is not None:
            connection.answer = memoryview(self._answer(connection))
            connection.until = time.monotonic() + _PATIENCE_S
            try:
                done = _written_out(connection)
            except OSError:
                done = True
            if done or self._stopping.is_set():
                connection.sock.close()
            else:
                self._leaving.put(connection)
                self._wake()

    def _answer(self, connection: _Connection) -> bytes:
        request = _parsed(connection.head, _subject(connection.sock))
        if request is None:
            return _written(Response(400, b"bad request\n"), None)
        if request.method not in {"GET", "HEAD"}:
            return _written(Response(405, b"only GET and HEAD\n", headers={"Allow": "GET, HEAD"}), request)
        try:
            return _written(self._handler(request), request)
        except Exception:
            log.exception("an answer to %s failed", request.path)
            return _written(Response(500, b"internal error\n"), request)


def _bound(address: BindAddress, flag: str) -> socket.socket:
    everywhere = not address.host and socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if everywhere or ":" in address.host else socket.AF_INET
    try:
        sock = socket.create_server(
            (address.host, address.port), family=family, backlog=_MOST_CONNECTIONS, dualstack_ipv6=everywhere
        )
    except OSError as error:
        # create_server puts a sentence of its own round the reason, which is behind its errno.
        reason = (error.strerror or str(error)).partition(" (while")[0]
        text = f"{flag}: cannot listen on {address}: {reason}; name another address, or 0 for none"
        raise SettingsError(text) from None
    sock.setblocking(False)
    return sock


def _written_out(connection: _Connection) -> bool:
    """Write as much of the answer as the client takes now; True when that was the rest. Raises OSError."""
    assert connection.answer is not None
    try:
        while connection.answer:
            connection.answer = connection.answer[connection.sock.send(connection.answer) :]
    except (ssl.SSLWantWriteError, ssl.SSLWantReadError, BlockingIOError):
        return False
    connection.sock.shutdown(socket.SHUT_WR)
    return True


def _subject(sock: socket.socket) -> dict[str, list[str]]:
    """The subject of the client certificate that was checked in the handshake, by attribute."""
    found: dict[str, list[str]] = {}
    certificate = sock.getpeercert() if isinstance(sock, ssl.SSLSocket) else None
    subject = cast("tuple[tuple[tuple[str, str], ...], ...]", (certificate or {}).get("subject", ()))
    for name, value in (pair for part in subject for pair in part):
        found.setdefault(name, []).append(value)
    return found


def _parsed(head: bytes, certificate: Mapping[str, list[str]]) -> Request | None:
    lines = head.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    words = lines[0].split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1.") or not words[1].startswith("/"):
        return None
    headers = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon:
            return None
        headers[name.strip().lower()] = value.strip()
    url = urlsplit(words[1])
    return Request(words[0], url.path, parse_qs(url.query, keep_blank_values=True), headers, certificate)


def _written(response: Response, request: Request | None) -> bytes:
    body = response.body
    headers = {"Content-Type": response.content_type, **response.headers}
    accepted = request.headers.get("accept-encoding", "") if request else ""
    if len(body) >= _WORTH_PACKING and "gzip" in accepted:
        body = gzip.compress(body, compresslevel=1, mtime=0)
        headers["Content-Encoding"] = "gzip"
    headers |= {"Content-Length": str(len(body)), "Connection": "close"}
    lines = [f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    head = "\r\n".join([*lines, "", ""]).encode("latin-1")
    return head if request is not None and request.method == "HEAD" else head + body
