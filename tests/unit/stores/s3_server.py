"""A real S3 server in a process of its own, and between it and us a TLS server that injects failures.

The server is moto's. What it does not check is checked on the way: the signed SHA-256 of each body. `Between`
holds a script of faults, each for the next request of one operation, and writes down every request.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import re
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree as ET
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from engine.machineconfig import certificates
from engine.ports.stores.s3place import S3Place

# Two runs of these tests on one machine must not meet.
HOST = f"127.{130 + os.getpid() % 50}.{1 + os.getpid() // 50 % 250}.9"
OWN = certificates.make_authority("p256", "stores", now=time.time() - 60)
BUCKET, REGION = "backups", "eu-central-1"
ACCESS, SECRET = "AKIDEXAMPLE7QXV2", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"

HOP = {"connection", "keep-alive", "transfer-encoding", "expect", "host", "content-length"}


class Cut(Exception):
    """The connection ends here."""


Fault = Callable[["Exchange"], None]


class Exchange:
    """One request on its way; a fault may change `body`, set `answer`, or raise Cut."""

    def __init__(self, operation: str, body: bytes, forward: Callable[[bytes], Any]) -> None:
        self.operation, self.body, self._forward = operation, body, forward
        self.answer: tuple[int, dict[str, str], bytes] | None = None
        self.short_by = 0
        self.answered: Callable[[], None] = lambda: None
        """What happens once the answer has left."""

    def forward(self) -> tuple[int, dict[str, str], bytes]:
        return self._forward(self.body)


def says(status: int, code: str = "", text: str = "told by the store", **headers: str) -> Fault:
    """An answer of the store's that the server never gave."""

    def fault(exchange: Exchange) -> None:
        body = (
            f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{text}</Message></Error>"
            if code
            else ""
        )
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        exchange.answer = (status, {"content-type": "application/xml", **named}, body.encode())

    return fault


def cut_before(_exchange: Exchange) -> None:
    raise Cut


def cut_after(exchange: Exchange) -> None:
    """The server does it; nobody hears of it."""
    exchange.forward()
    raise Cut


def garbage(exchange: Exchange) -> None:
    exchange.answer = (200, {"content-type": "application/xml"}, b"<Oops")


def portal(exchange: Exchange) -> None:
    """Somebody else's page."""
    exchange.answer = (200, {"content-type": "text/html"}, b"<html><body>Please log in</body></html>")


def short_answer(exchange: Exchange) -> None:
    """The answer ends in the middle."""
    exchange.answer = exchange.forward()
    exchange.short_by = len(exchange.answer[2]) // 2


def flipped(exchange: Exchange) -> None:
    """One bit of the body changes on the way."""
    middle = len(exchange.body) // 2
    exchange.body = exchange.body[:middle] + bytes([exchange.body[middle] ^ 1]) + exchange.body[middle + 1 :]


def shortened(exchange: Exchange) -> None:
    """Half of the body is lost on the way."""
    exchange.body = exchange.body[: len(exchange.body) // 2]


def error_in_ok(exchange: Exchange) -> None:
    """As S3 may answer to CompleteMultipartUpload: 200 first, then the failure."""
    says(200, "InternalError")(exchange)


class Between:
    """The TLS server in front. `requests` are (operation, headers as text), in order."""

    def __init__(self, backend_port: int) -> None:
        self.requests: list[tuple[str, str]] = []
        self.faults: dict[str, deque[Fault]] = defaultdict(deque)
        self._numbered: dict[int, Fault] = {}
        self._lock = threading.Lock()
        between = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def serve(self) -> None:
                between._serve(self, backend_port)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = serve  # noqa: N815 - the library's names

            def log_message(self, *_: Any) -> None: ...

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None: ...

        self._server = Server((HOST, 0), Handler)
        self._server.socket = _context().wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.url = f"https://{HOST}:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def next(self, operation: str, *faults: Fault) -> None:
        """What happens to the next requests of this operation, one each."""
        self.faults[operation].extend(faults)

    def at(self, number: int, fault: Fault) -> None:
        """What happens to the so-and-so-many-th request from now on, whatever it asks for."""
        with self._lock:
            self._numbered = {len(self.requests) + number: fault}

    def quiet(self) -> None:
        """Forget the script and the requests."""
        with self._lock:
            self.requests.clear()
            self.faults.clear()
            self._numbered = {}

    def asked(self, operation: str) -> int:
        return sum(1 for each, _ in self.requests if each == operation)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _serve(self, handler: Any, backend_port: int) -> None:
        body = handler.rfile.read(int(handler.headers.get("content-length") or 0))
        operation = operation_of(handler.command, handler.path)
        with self._lock:
            self.requests.append((operation, f"{handler.command} {handler.path}\n{handler.headers}"))
            fault = self._numbered.pop(len(self.requests), None)
            if fault is None and self.faults[operation]:
                fault = self.faults[operation].popleft()

        def forward(sent: bytes) -> tuple[int, dict[str, str], bytes]:
            signed = handler.headers.get("x-amz-content-sha256")
            if signed != hashlib.sha256(sent).hexdigest():
                wrong = Exchange(operation, sent, forward)
                says(400, "XAmzContentSHA256Mismatch")(wrong)
                assert wrong.answer is not None
                return wrong.answer
            return _forwarded(handler, backend_port, sent)

        exchange = Exchange(operation, body, forward)
        try:
            if fault is not None:
                fault(exchange)
            status, headers, answer = exchange.answer or exchange.forward()
        except Cut:
            handler.close_connection = True
            with contextlib.suppress(OSError):
                handler.connection.shutdown(socket.SHUT_RDWR)
            return
        handler.send_response_only(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        if handler.command != "HEAD":
            handler.send_header("content-length", str(len(answer)))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(answer[: len(answer) - exchange.short_by])
        exchange.answered()
        if exchange.short_by:
            handler.close_connection = True
            with contextlib.suppress(OSError):
                handler.connection.shutdown(socket.SHUT_RDWR)


class Bucket:
    """The server seen from outside: what it holds, open uploads included, asked past everything of ours."""

    def __init__(self, moto: int) -> None:
        self._moto = moto
        self._fetched: dict[tuple[str, str, str], bytes] = {}
        self.between = Between(moto)

    @property
    def place(self) -> S3Place:
        return S3Place(BUCKET, REGION, self.between.url, ACCESS, SECRET, OWN.crt)

    def objects(self) -> dict[str, bytes]:
        """Every object; one that is removed meanwhile is none. What did not change is not fetched again."""
        found: dict[str, bytes] = {}
        for entry in ET.fromstring(self.ask("GET", f"/{BUCKET}?list-type=2")).iter():
            if entry.tag.rpartition("}")[2] != "Contents":
                continue
            told = {each.tag.rpartition("}")[2]: each.text or "" for each in entry}
            version = (told["Key"], told["ETag"], told["LastModified"])
            if version not in self._fetched:
                content = self._answer("GET", f"/{BUCKET}/{told['Key']}")
                if content is None:
                    continue
                self._fetched[version] = content
            found[told["Key"]] = self._fetched[version]
        return found

    def open_uploads(self) -> list[str]:
        listed = ET.fromstring(self.ask("GET", f"/{BUCKET}?uploads"))
        return [each.text or "" for each in listed.iter() if each.tag.rpartition("}")[2] == "UploadId"]

    def partial(self) -> list[str]:
        return self.open_uploads()

    def empty(self) -> None:
        """Begin with nothing but the bucket."""
        self.ask("POST", "/moto-api/reset")
        where = f"<LocationConstraint>{REGION}</LocationConstraint>"
        self.ask(
            "PUT",
            f"/{BUCKET}",
            f"<CreateBucketConfiguration>{where}</CreateBucketConfiguration>".encode(),
        )

    def ask(self, method: str, path: str, body: bytes = b"") -> bytes:
        answer = self._answer(method, path, body)
        assert answer is not None, f"{method} {path}: 404"
        return answer

    def _answer(self, method: str, path: str, body: bytes = b"") -> bytes | None:
        connection = http.client.HTTPConnection(HOST, self._moto, timeout=30)
        try:
            # moto reads who asks from this and checks no more.
            signed = f"AWS4-HMAC-SHA256 Credential={ACCESS}/20260101/{REGION}/s3/aws4_request"
            connection.request(method, path, body or None, {"Authorization": signed})
            answer = connection.getresponse()
            assert answer.status < 300 or answer.status == 404, f"{method} {path}: {answer.status}"
            return answer.read() if answer.status < 300 else None
        finally:
            connection.close()


def operation_of(command: str, path: str) -> str:
    query = path.partition("?")[2]
    has = lambda word: re.search(rf"(^|&){word}(=|&|$)", query) is not None  # noqa: E731
    if has("uploads"):
        return "CreateMultipartUpload" if command == "POST" else "ListMultipartUploads"
    if has("uploadId"):
        return {"POST": "CompleteMultipartUpload", "DELETE": "AbortMultipartUpload"}.get(
            command, "UploadPart"
        )
    if has("list-type"):
        return "ListObjects"
    names = {"GET": "GetObject", "PUT": "PutObject", "HEAD": "HeadObject", "DELETE": "DeleteObject"}
    return names.get(command, command)


def _forwarded(handler: Any, port: int, body: bytes) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(HOST, port, timeout=30)
    try:
        headers = {name: value for name, value in handler.headers.items() if name.lower() not in HOP}
        connection.request(handler.command, handler.path, body or None, headers)
        answer = connection.getresponse()
        kept = {name: value for name, value in answer.getheaders() if name.lower() not in HOP}
        if handler.command == "HEAD":
            kept["content-length"] = answer.getheader("content-length") or "0"
        return answer.status, kept, answer.read()
    finally:
        connection.close()


def _context() -> ssl.SSLContext:
    pair = certificates.issue(OWN, now=time.time() - 60, ttl_s=86400, server=True, addresses=[HOST])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as chain:
        chain.write(pair.crt + pair.key)
        chain.flush()
        context.load_cert_chain(chain.name)
    return context


@contextmanager
def moto_server(folder: Path) -> Iterator[int]:
    """The port of a running server; its log is in `folder`."""
    with socket.create_server((HOST, 0)) as probe:
        port = probe.getsockname()[1]
    with (folder / "moto.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", HOST, "-p", str(port)],
            env={"PATH": os.environ["PATH"], "HOME": str(folder)},
            stdout=log,
            stderr=log,
        )
        try:
            _answering(process, port, folder)
            yield port
        finally:
            process.terminate()
            process.wait(10)


def _answering(process: subprocess.Popen[bytes], port: int, folder: Path) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        assert process.poll() is None, (folder / "moto.log").read_text()
        try:
            socket.create_connection((HOST, port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("moto does not answer")
