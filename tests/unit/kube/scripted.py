"""An HTTP server on loopback that does exactly what a test tells it, broken things included."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import ssl
import struct
import threading
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass
class Asked:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: object
    connection: int

    @property
    def is_watch(self) -> bool:
        return self.query.get("watch") == "1"


@dataclass
class Wire:
    """The server's end of one connection."""

    sock: socket.socket
    stopping: threading.Event = field(default_factory=threading.Event)

    def raw(self, data: bytes) -> None:
        self.sock.sendall(data)

    def json(self, value, status=200, headers=()):
        body = json.dumps(value).encode()
        lines = [
            f"HTTP/1.1 {status} X",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
            *headers,
        ]
        self.raw("\r\n".join([*lines, "", ""]).encode() + body)

    def refuse(self, code, reason="", message="", headers=(), **details):
        status = {"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message}
        self.json({**status, "details": details}, code, headers)

    def begin(self) -> None:
        self.raw(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")

    def chunk(self, data: bytes) -> None:
        self.raw(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def event(self, kind, value) -> None:
        self.chunk(json.dumps({"type": kind, "object": value}).encode() + b"\n")

    def end(self) -> None:
        self.raw(b"0\r\n\r\n")

    def reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()
        raise ConnectionAbortedError

    def wait(self) -> None:
        """Say nothing until the test is over or the client goes away."""
        self.sock.settimeout(0.05)
        while not self.stopping.is_set():
            try:
                if not self.sock.recv(1):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        raise ConnectionAbortedError


class ScriptedServer:
    """Calls `script(asked, wire)` for each request; keeps what was asked in `asked`."""

    def __init__(self, script, context: ssl.SSLContext | None = None) -> None:
        self.script = script
        self.asked: list[Asked] = []
        self._context = context
        self._stopping = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._socks: list[socket.socket] = []
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"{'https' if self._context else 'http'}://127.0.0.1:{self.port}"

    def asked_for(self, method) -> list[Asked]:
        return [asked for asked in self.asked if asked.method == method]

    def stop(self) -> None:
        self._stopping.set()
        for sock in (self._listener, *self._socks):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self._socks.append(sock)
            thread = threading.Thread(target=self._serve, args=(sock, len(self._socks)), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        try:
            if self._context is not None:
                sock = _greeted(sock, self._context)
            with sock.makefile("rb") as reader:
                while not self._stopping.is_set():
                    asked = _read(reader, number)
                    if asked is None:
                        return
                    self.asked.append(asked)
                    self.script(asked, Wire(sock, self._stopping))
        except (OSError, ValueError):
            pass
        finally:
            sock.close()


def _greeted(sock, context):
    """The TLS side of a connection. After a refusal what the client still sends is read, lest a reset outrun the alert."""
    secure = context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
    try:
        secure.do_handshake()
    except ssl.SSLError:
        with contextlib.suppress(OSError):
            socket.socket.shutdown(secure, socket.SHUT_WR)
            while os.read(secure.fileno(), 4096):
                pass
        secure.close()
        raise
    return secure


def _read(reader, number) -> Asked | None:
    line = reader.readline().decode()
    if not line:
        return None
    method, target, _ = line.split(" ")
    headers = {}
    while line := reader.readline().decode().strip():
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    data = reader.read(int(headers.get("content-length", 0)))
    url = urlsplit(target)
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    return Asked(method, unquote(url.path), query, headers, json.loads(data) if data else None, number)
