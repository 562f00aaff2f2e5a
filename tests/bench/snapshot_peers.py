"""The two ends of a measured snapshot copy, each fast enough not to be what is measured, in a process of its own.

`node`: a TLS server with ALPN h2 that sends a snapshot of etcd in gRPC messages of 1 KiB, as Talos does, from
frames made before. `store`: a TLS server that speaks as much S3 as one upload needs and throws the content away,
counting it. Each prints one line when it is ready. Neighbour: `snapshot` starts them.
"""

from __future__ import annotations

import hashlib
import json
import re
import select
import socket
import ssl
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from hpack import Encoder

from engine.etcdfile.layout import PAGE, Meta, meta_page
from engine.ports.talos.http2 import DATA, END_HEADERS, END_STREAM, HEADERS, SETTINGS

MESSAGE = 1024
BLOCK = 256
"""So many messages are one prepared buffer, sent again and again."""


def node(chain: str, clients: str, where: str, size: int) -> None:
    """Serve one snapshot of `size` bytes and its digest, as often as it is asked for."""
    first, block, last = _frames(size)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["h2"])
    context.load_cert_chain(chain)
    context.load_verify_locations(clients)
    context.verify_mode = ssl.CERT_REQUIRED
    with socket.create_server((where, 50000)) as listener:
        print("ready", flush=True)
        while True:
            plain, _ = listener.accept()
            with context.wrap_socket(plain, server_side=True) as peer:
                _send(peer, first, block, size // (MESSAGE * BLOCK) - 1, last)


def _send(peer: ssl.SSLSocket, first: bytes, block: bytes, times: int, last: bytes) -> None:
    """What the client says, its window above all, is large from the start, and is thrown away."""
    encoder = Encoder()
    answer = encoder.encode([(":status", "200"), ("content-type", "application/grpc")])
    trailers = encoder.encode([("grpc-status", "0")])
    peer.sendall(_frame(SETTINGS, 0, 0, b""))
    peer.recv(65536)
    peer.sendall(_frame(HEADERS, END_HEADERS, 1, answer) + first)
    for _ in range(times):
        if select.select([peer], [], [], 0)[0]:
            peer.recv(65536)
        peer.sendall(block)
    peer.sendall(last + _frame(HEADERS, END_HEADERS | END_STREAM, 1, trailers))
    while peer.recv(65536):
        continue


def _frames(size: int) -> tuple[bytes, bytes, bytes]:
    """The first block, which begins as a database does, the one that is repeated, and the digest behind all."""
    meta = Meta(page_size=PAGE, root=3, freelist=2, pages=size // PAGE, transaction=7)
    plain = bytes(range(256)) * 4 * BLOCK
    begin = (meta_page(0, meta) + meta_page(1, meta) + plain)[: len(plain)]
    digest = hashlib.sha256(begin)
    for _ in range(size // len(plain) - 1):
        digest.update(plain)
    return _messages(begin), _messages(plain), _messages(digest.digest())


def _messages(data: bytes) -> bytes:
    """DATA frames, one for each gRPC message of a common.Data with the next KiB."""
    made = []
    for start in range(0, len(data), MESSAGE):
        piece = data[start : start + MESSAGE]
        length = bytes([len(piece) & 127 | 128, len(piece) >> 7]) if len(piece) > 127 else bytes([len(piece)])
        message = b"\x12" + length + piece
        made.append(_frame(DATA, 0, 1, b"\0" + len(message).to_bytes(4, "big") + message))
    return b"".join(made)


def _frame(kind: int, flags: int, stream: int, body: bytes) -> bytes:
    return len(body).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + body


class _Store(BaseHTTPRequestHandler):
    """Objects are their sizes and metadata."""

    protocol_version = "HTTP/1.1"
    rbufsize = 1 << 20
    objects: ClassVar[dict[str, tuple[int, dict[str, str]]]] = {}
    parts = 0
    metadata: ClassVar[dict[str, str]] = {}

    def do_POST(self) -> None:
        key = self.path.partition("?")[0]
        self._thrown_away()
        if self.path.endswith("uploads"):
            _Store.parts, _Store.metadata = 0, self._metadata()
            self._answer(
                "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
            )
        else:
            self.objects[key] = (_Store.parts, _Store.metadata)
            self._answer("<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>")

    def do_PUT(self) -> None:
        size = self._thrown_away()
        if "partNumber" in self.path:
            _Store.parts += size
        else:
            self.objects[self.path] = (size, self._metadata())
        self._answer("", ETag='"e"')

    def do_HEAD(self) -> None:
        size, metadata = self.objects[self.path]
        self.send_response(200)
        for name, value in {**metadata, "Last-Modified": "Sat, 28 Nov 2026 10:00:00 GMT"}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(size))
        self.end_headers()

    def do_GET(self) -> None:
        self._answer("<ListMultipartUploadsResult></ListMultipartUploadsResult>")

    def do_DELETE(self) -> None:
        self._answer("")

    def log_message(self, *_: Any) -> None: ...

    def _metadata(self) -> dict[str, str]:
        return {
            name: value
            for name, value in self.headers.items()
            if re.match("x-amz-meta-", name, re.IGNORECASE)
        }

    def _thrown_away(self) -> int:
        size = left = int(self.headers.get("Content-Length") or 0)
        while left:
            left -= len(self.rfile.read1(min(left, 1 << 20)))
        return size

    def _answer(self, body: str, **headers: str) -> None:
        self.send_response(200)
        for name, value in {"Content-Type": "application/xml", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())


def store(chain: str, where: str) -> None:
    """Serve until the process is ended; prints the port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    with ThreadingHTTPServer((where, 0), _Store) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        print(server.server_port, flush=True)
        server.serve_forever()


if __name__ == "__main__":
    told = json.loads(sys.argv[1])
    {"node": node, "store": store}[told.pop("serve")](**told)
