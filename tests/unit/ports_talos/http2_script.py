"""What a node sends on one HTTP/2 connection, frame by frame, drawn with a seed; and a server that sends it.

Promises that a script of the same seed is the same bytes. Neighbours: `test_http2_fuzz` and
`test_http2_against_grpcio` feed it to the engine's own receive path and to grpcio.
"""

from __future__ import annotations

import random
import socket
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from hpack import Encoder

from engine.ports.talos.http2 import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PADDED,
    PING,
    PREFACE,
    PRIORITIZED,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
)  # fmt: skip

Header = tuple[str, str]
ANSWER: tuple[Header, ...] = ((":status", "200"), ("content-type", "application/grpc"))
MAX_FRAME = 16384


def frame(kind: int, flags: int = 0, stream: int = 0, body: bytes = b"") -> bytes:
    """One frame."""
    return len(body).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + body


def message(content: bytes) -> bytes:
    """A gRPC message with its prefix."""
    return b"\0" + len(content).to_bytes(4, "big") + content


class Script:
    """Frames in the making; every choice is drawn. `padding`: some frames are padded."""

    def __init__(self, draw: random.Random, *, padding: bool) -> None:
        self.draw = draw
        self._padding = padding
        self.frames: list[bytes] = []
        self.messages: list[bytes] = []
        self._encoder = Encoder()
        if draw.random() < 0.5:
            # As a node does that has read our SETTINGS.
            self._encoder.header_table_size = 0

    def settings(self) -> None:
        """The first frame of a node."""
        pairs = ((3, 100), (4, 65535), (5, MAX_FRAME), (6, 16384))
        body = b"".join(struct.pack(">HI", *pair) for pair in pairs if self.draw.random() < 0.5)
        self.frames.append(frame(SETTINGS, 0, 0, body))

    def headers(self, fields: Sequence[Header], *, last: bool = False) -> None:
        """A header block, now and then in pieces, padded or with a priority."""
        block = self._encoder.encode(fields, huffman=self.draw.random() < 0.5)
        pieces = [block]
        while self.draw.random() < 0.3 and len(pieces[-1]) > 1:
            cut = self.draw.randrange(len(pieces[-1]))
            pieces[-1:] = [pieces[-1][:cut], pieces[-1][cut:]]
        flags, first = (END_STREAM if last else 0), pieces[0]
        if self.draw.random() < 0.2:
            flags, first = flags | PRIORITIZED, struct.pack(">IB", 0, 15) + first
        if self._padding and self.draw.random() < 0.2:
            flags, first = flags | PADDED, self._padded(first)
        self.frames.append(frame(HEADERS, flags | (END_HEADERS if len(pieces) == 1 else 0), 1, first))
        for index, piece in enumerate(pieces[1:], 2):
            self.frames.append(frame(CONTINUATION, END_HEADERS if index == len(pieces) else 0, 1, piece))

    def data(self, content: bytes, *, last: bool = False) -> None:
        """Bytes in frames cut anywhere, other frames between them."""
        while True:
            size = min(len(content), self.draw.choice((1, 4, 5, 6, 100, 1029, 9000, MAX_FRAME)))
            piece, content = content[:size], content[size:]
            flags = END_STREAM if last and not content else 0
            if self._padding and self.draw.random() < 0.1 and size < MAX_FRAME - 300:
                flags, piece = flags | PADDED, self._padded(piece)
            self.frames.append(frame(DATA, flags, 1, piece))
            if not content:
                return
            self.between()

    def some_messages(self) -> None:
        """Messages of all sizes; some share frames."""
        together = b""
        for _ in range(self.draw.choice((0, 1, 3, 20))):
            content = self.draw.randbytes(self.draw.choice((0, 1, 10, 1024, 1024, 16379, 16380, 40000)))
            self.messages.append(content)
            together += message(content)
            if self.draw.random() < 0.7:
                self.data(together)
                together = b""
        if together:
            self.data(together)

    def between(self) -> None:
        """What may come at any time and changes nothing."""
        if self.draw.random() < 0.9:
            return
        self.frames.append(
            self.draw.choice(
                (
                    frame(PING, 0, 0, b"12345678"),
                    frame(SETTINGS),
                    frame(WINDOW_UPDATE, 0, 0, (1000).to_bytes(4, "big")),
                    frame(WINDOW_UPDATE, 0, 1, (1000).to_bytes(4, "big")),
                    frame(PRIORITY, 0, 1, struct.pack(">IB", 0, 15)),
                    frame(0xBE, 0x55, 0, b"unknown"),
                )
            )
        )

    def _padded(self, body: bytes) -> bytes:
        pad = self.draw.randrange(1, 250)
        return bytes([pad]) + body + bytes(pad)


def drawn(seed: int, *, padding: bool = True) -> Script:
    """A whole conversation, which ends in one of the ways in which calls end."""
    script = Script(random.Random(seed), padding=padding)
    script.settings()
    script.frames.append(frame(SETTINGS, ACK))
    ending = script.draw.choice(
        ("status", "status", "ok", "ok", "reset", "goaway", "cut", "only", "http", "none", "data")
    )
    number, text = (
        str(script.draw.randrange(0, 17)),
        script.draw.choice(("", "no such", "a%20b%C3%A9", "100%")),
    )
    trailers = [("grpc-status", "0" if ending == "ok" else number), ("grpc-message", text), ("x-other", "1")]
    if ending == "only":
        script.headers([*ANSWER, *trailers], last=True)
        return script
    if ending == "http":
        status = script.draw.choice(("400", "401", "403", "404", "418", "429", "500", "502", "503", "504"))
        script.headers([(":status", status), ("content-type", "text/html")], last=True)
        return script
    script.headers(ANSWER)
    script.between()
    script.some_messages()
    if ending == "reset":
        script.frames.append(frame(RST_STREAM, 0, 1, script.draw.randrange(0, 14).to_bytes(4, "big")))
    elif ending == "goaway":
        script.frames.append(frame(GOAWAY, 0, 0, struct.pack(">II", 1, 0) + b"bye"))
        script.headers(trailers, last=True)
    elif ending == "none":
        script.headers([("x-other", "1")], last=True)
    elif ending == "data":
        script.data(b"", last=True)
    elif ending != "cut":
        script.headers(trailers, last=True)
    return script


@contextmanager
def playing(script: Script) -> Iterator[int]:
    """A port that plays the script to each caller: SETTINGS at once, the rest after the whole request."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.2)
        stop = threading.Event()

        def serve() -> None:
            while not stop.is_set():
                with suppress(TimeoutError, OSError):
                    caller, _ = listener.accept()
                    with caller:
                        _play(caller, script)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            stop.set()
            thread.join()


def _play(caller: socket.socket, script: Script) -> None:
    caller.settimeout(5)
    caller.sendall(script.frames[0])
    heard = b""
    while not _has_request(heard):
        piece = caller.recv(65536)
        if not piece:
            return
        heard += piece
    rest = b"".join(script.frames[1:])
    draw = random.Random(len(rest))
    while rest:
        size = draw.choice((1, 9, 100, 5000, 70000))
        caller.sendall(rest[:size])
        rest = rest[size:]
    caller.shutdown(socket.SHUT_WR)
    while caller.recv(65536):
        pass


def _has_request(heard: bytes) -> bool:
    """Whether the caller has ended its half of stream 1."""
    place = len(PREFACE)
    while place + 9 <= len(heard):
        length = int.from_bytes(heard[place : place + 3], "big")
        kind, flags = heard[place + 3], heard[place + 4]
        if kind in (DATA, HEADERS) and flags & END_STREAM and place + 9 + length <= len(heard):
            return True
        place += 9 + length
    return False
