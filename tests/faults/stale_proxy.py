"""An API server that lags: it stands before the real one and answers some reads with older versions.

Promises that every write and every watch goes through untouched, that a read of one object is answered
with a version that the object once had (or with 404 when it once was not there), and a list with one that
was once true as a whole. Draws with the seed it is given. Neighbours: `test_stale_reads`; the API behind
it is the embedded one in a process of its own.
"""

from __future__ import annotations

import http.client
import json
import random
import ssl
import threading
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from engine.base.yamltext import load_documents

_BEHIND = (1, 5, 50)
_CHUNK = 65536


@dataclass(frozen=True, slots=True)
class Answer:
    """What the real API said: status and body."""

    status: int
    body: bytes


def _not_found(path: str) -> Answer:
    name = path.rpartition("/")[2]
    status = {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": "NotFound",
        "message": f"{name} not found", "details": {"name": name}, "code": 404,
    }  # fmt: skip
    return Answer(404, json.dumps(status).encode())


@dataclass
class Past:
    """What was once true of each path, newest last; and how many reads were answered out of it."""

    random: random.Random
    share: float
    answered: int = 0
    stale: int = 0
    requests: list[tuple[str, str]] = field(default_factory=list)
    """Method and target of everything that was asked, in order."""
    versions: dict[str, list[Answer]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, path: str, answer: Answer) -> None:
        """This was true just now."""
        with self.lock:
            known = self.versions.setdefault(path, [])
            if not known or known[-1] != answer:
                known.append(answer)

    def created(self, path: str) -> None:
        """An object came to be here: before, it was not there."""
        with self.lock:
            self.versions.setdefault(path, [_not_found(path)])

    def pick(self, path: str, now: Answer) -> Answer:
        """The answer to a read: mostly `now`."""
        with self.lock:
            self.answered += 1
            known = self.versions.get(path, ())
            if len(known) < 2 or self.random.random() >= self.share:
                return now
            self.stale += 1
            return known[max(0, len(known) - 1 - self.random.choice(_BEHIND))]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: StaleProxy

    def _carry(self) -> None:
        self.server.past.requests.append((self.command, self.path))
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else None
        headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
        upstream = self.server.upstream()
        try:
            upstream.request(self.command, self.path, body, headers)
            with upstream.getresponse() as reply:
                if "watch=" in self.path:
                    self._stream(reply)
                else:
                    self._answer(reply, Answer(reply.status, reply.read()), headers)
        finally:
            upstream.close()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _carry  # noqa: N815  # the base class looks for them

    def _answer(self, reply: http.client.HTTPResponse, answer: Answer, headers: dict[str, str]) -> None:
        path = urlsplit(self.path).path
        past = self.server.past
        if self.command == "GET":
            if answer.status in (200, 404) and "continue=" not in self.path and _is_about_objects(path):
                past.note(path, answer)
                answer = past.pick(path, answer)
        elif answer.status < 300:
            self._remember(path, headers)
        self.send_response(answer.status)
        for name, value in reply.getheaders():
            if name.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def _remember(self, path: str, headers: dict[str, str]) -> None:
        """After a write: what the object and its list are now."""
        path = path.removesuffix("/status")
        places = [path] if self.command == "POST" else [path, path.rpartition("/")[0]]
        token = {"Authorization": headers["Authorization"]} if "Authorization" in headers else {}
        for place in places:
            if self.command != "POST" and place == path:
                self.server.past.created(place)
            upstream = self.server.upstream()
            try:
                upstream.request("GET", place, headers=token)
                reply = upstream.getresponse()
                if reply.status in (200, 404):
                    self.server.past.note(place, Answer(reply.status, reply.read()))
            finally:
                upstream.close()

    def _stream(self, reply: http.client.HTTPResponse) -> None:
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.getheader("Content-Type") or "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            while part := reply.read1(_CHUNK):
                self.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
            self.wfile.write(b"0\r\n\r\n")
        except (OSError, http.client.HTTPException):
            self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Say nothing: the tests look at the world."""


def _is_about_objects(path: str) -> bool:
    return "/namespaces/" in path


class StaleProxy(ThreadingHTTPServer):
    """Listens on a free port of 127.0.0.1; `kubeconfig` leads through it."""

    daemon_threads = True

    def __init__(self, kubeconfig: Path, past: Past) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        (config,) = load_documents(kubeconfig.read_text())
        cluster = config["clusters"][0]["cluster"]
        self.past = past
        self._place = urlsplit(cluster["server"]).netloc
        authority = b64decode(cluster.pop("certificate-authority-data")).decode()
        self._tls = ssl.create_default_context(cadata=authority)
        cluster["server"] = f"http://127.0.0.1:{self.server_port}"
        self.kubeconfig = kubeconfig.with_name("kubeconfig-stale")
        self.kubeconfig.touch(mode=0o600)
        self.kubeconfig.write_text(json.dumps(config))

    def upstream(self) -> http.client.HTTPSConnection:
        """A connection of its own to the real API."""
        return http.client.HTTPSConnection(self._place, context=self._tls, timeout=60)


@contextmanager
def lagging(kubeconfig: Path, past: Past) -> Iterator[Path]:
    """The kubeconfig that leads through a StaleProxy, which serves while the block runs."""
    proxy = StaleProxy(kubeconfig, past)
    thread = threading.Thread(target=proxy.serve_forever, daemon=True)
    thread.start()
    try:
        yield proxy.kubeconfig
    finally:
        proxy.shutdown()
        proxy.server_close()
        thread.join()
