"""Receive one server stream of gRPC over one HTTP/2 connection, without I/O and without grpcio.

grpcio's cost per message is too high for a snapshot, which Talos sends in messages of 1 KiB, and its
cost per open stream for a thousand watches. One call, one connection: `outgoing` is what to send,
`feed` takes what came and gives whole messages, `ended` says how it ended. Never buffers more than
one frame and one message; a peer that breaks the rules ends the call, never the process. Pure.
Sources: RFC 9113 (frames), RFC 7541 by `hpack`, gRPC's PROTOCOL-HTTP2 (messages and statuses).
Neighbours: `receiving` brings bytes, `failures` makes errors of what is `Ended`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from hpack import Decoder, Encoder, HPACKError

from engine.ports.talos.grpcmessages import PREFIX, Assembly, Compressed, TooLong
from engine.ports.talos.grpcstatus import Status, of_headers, of_reset

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = (
    range(10)
)
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITIZED = 0x1, 0x1, 0x4, 0x8, 0x20
MAX_FRAME: Final = 16384
"""What we say to take, and what every peer has to take of us."""
MAX_HEADERS: Final = 65536
WINDOW: Final = 2**31 - 1
"""No flow control of HTTP/2 in our way: what is not read yet waits in the kernel."""
_STREAM: Final = 1
_MASK: Final = 2**31 - 1
_HEADER: Final = struct.Struct(">IBI")
_SETTING: Final = struct.Struct(">HI")
_ENABLE_PUSH, _INITIAL_WINDOW = 2, 4
_FIRST_WINDOW: Final = 65535


@dataclass(frozen=True, slots=True)
class Ended:
    """How a call ended. `refused`: the node has said that it did not begin with it."""

    status: Status
    refused: bool = False


class _Broken(Exception):
    """The peer breaks the protocol; the call ends with INTERNAL."""


class ServerStream:
    """One call, from its request to its status."""

    def __init__(
        self,
        authority: str,
        method: str,
        request: bytes,
        *,
        max_message: int = 32 << 20,
        window: int = WINDOW,
    ) -> None:
        if len(request) + PREFIX > MAX_FRAME:
            raise ValueError(f"a request of {len(request)} bytes; streams take small ones")
        self.ended: Ended | None = None
        self.outgoing = bytearray()
        self._window = window
        self._rest = b""
        self._assembly = Assembly(max_message)
        self._headers: bytearray | None = None
        self._headers_flags = 0
        self._answered = False
        self._settled = False
        self._received = 0
        self._decoder = Decoder(max_header_list_size=MAX_HEADERS)
        self._last_word: Status | None = None
        self._begin(authority, method, request)

    def feed(self, data: bytes) -> list[memoryview]:
        """Take what came; whole messages, without their prefixes, in order. Nothing more after the end."""
        if self.ended is not None:
            return []
        messages: list[memoryview] = []
        try:
            self._frames(self._rest + data if self._rest else data, messages)
        except (_Broken, Compressed) as error:
            self._end(Status.internal(str(error)))
        except TooLong as error:
            self._end(Status.exhausted(str(error)))
        except HPACKError as error:
            self._end(Status.internal(f"headers that cannot be read: {error}"))
        return messages

    def lost(self, reason: str) -> None:
        """The connection ended or was given up; a call that has not ended yet ends so."""
        if self.ended is None:
            self._end(self._last_word or Status.unavailable(reason))

    def _begin(self, authority: str, method: str, request: bytes) -> None:
        settings = _SETTING.pack(_ENABLE_PUSH, 0) + _SETTING.pack(_INITIAL_WINDOW, self._window)
        headers = Encoder().encode(
            [
                (":method", "POST"), (":scheme", "https"), (":path", f"/{method}"), (":authority", authority),
                ("te", "trailers"), ("content-type", "application/grpc"), ("user-agent", "talos-operator"),
            ]
        )  # fmt: skip
        self.outgoing += PREFACE
        self._send(SETTINGS, 0, 0, settings)
        self._send(WINDOW_UPDATE, 0, 0, (self._window - _FIRST_WINDOW).to_bytes(4, "big"))
        self._send(HEADERS, END_HEADERS, _STREAM, headers)
        self._send(DATA, END_STREAM, _STREAM, b"\0" + len(request).to_bytes(4, "big") + request)

    def _frames(self, data: bytes, messages: list[memoryview]) -> None:
        """Every whole frame in `data`; the rest is kept for the next time."""
        view, place, end = memoryview(data), 0, len(data)
        unpack, assembly, answered = _HEADER.unpack_from, self._assembly, self._answered
        while end - place >= 9:
            word, flags, stream = unpack(data, place)
            start = place + 9
            stop = start + (word >> 8)
            if word >> 8 > MAX_FRAME:
                raise _Broken(f"a frame of {word >> 8} bytes")
            if stop > end:
                break
            # Nearly all frames are one message each: they go without a call and without a copy.
            if (
                not word & 0xFF and flags == 0 and stream == _STREAM and answered and self._headers is None
                and assembly.is_empty and stop - start >= PREFIX and not data[start]
                and int.from_bytes(data[start + 1 : start + PREFIX], "big") == stop - start - PREFIX
            ):  # fmt: skip
                self._received += stop - start
                messages.append(view[start + PREFIX : stop])
            else:
                self._frame(word & 0xFF, flags, stream & _MASK, view[start:stop], messages)
                answered = self._answered
                if self.ended is not None:
                    return
            place = stop
        self._rest = data[place:]
        self._refill()

    def _frame(
        self, kind: int, flags: int, stream: int, body: memoryview, messages: list[memoryview]
    ) -> None:
        if not self._settled and (kind != SETTINGS or flags & ACK):
            raise _Broken("the first frame is no SETTINGS")
        if self._headers is not None and kind != CONTINUATION:
            raise _Broken("a header block is interrupted")
        if kind == DATA:
            self._data(flags, stream, body, messages)
        elif kind in _TAKES:
            _TAKES[kind](self, flags, stream, body)

    def _data(self, flags: int, stream: int, body: memoryview, messages: list[memoryview]) -> None:
        if stream != _STREAM:
            raise _Broken(f"data of stream {stream}")
        if not self._answered:
            raise _Broken("data before headers")
        self._received += len(body)
        if self._received > self._window:
            raise _Broken("more data than was asked for")
        self._assembly.take(_unpadded(flags, body), messages)
        if flags & END_STREAM:
            self._end(Status.unknown("the answer ends without a status"))

    def _on_headers(self, flags: int, stream: int, body: memoryview) -> None:
        if stream != _STREAM:
            raise _Broken(f"headers of stream {stream}")
        body = _unpadded(flags, body)
        if flags & PRIORITIZED:
            if len(body) < 5:
                raise _Broken("headers too short for their priority")
            body = body[5:]
        self._headers, self._headers_flags = bytearray(body), flags
        if flags & END_HEADERS:
            self._header_block()

    def _on_continuation(self, flags: int, stream: int, body: memoryview) -> None:
        if self._headers is None or stream != _STREAM:
            raise _Broken("a continuation of nothing")
        self._headers += body
        if len(self._headers) > MAX_HEADERS:
            raise _Broken(f"headers of more than {MAX_HEADERS} bytes")
        if flags & END_HEADERS:
            self._header_block()

    def _header_block(self) -> None:
        assert self._headers is not None
        block, self._headers = bytes(self._headers), None
        fields: dict[str, str] = {}
        for name, value in self._decoder.decode(block, raw=True):
            fields[name.decode("ascii", "replace")] = value.decode("utf-8", "replace")
        last = bool(self._headers_flags & END_STREAM)
        if not last and fields.get(":status", "").startswith("1"):
            return
        status = of_headers(fields, first=not self._answered, last=last)
        if status is not None:
            cut = status.is_ok and not self._assembly.is_empty
            self._end(Status.internal("the stream ended inside a message") if cut else status)
        self._answered = True

    def _on_reset(self, _flags: int, stream: int, body: memoryview) -> None:
        if len(body) != 4 or stream != _STREAM:
            raise _Broken("a wrong RST_STREAM")
        code = int.from_bytes(body, "big")
        self._end(of_reset(code), refused=code == 7)

    def _on_settings(self, flags: int, stream: int, body: memoryview) -> None:
        if stream or len(body) % 6 or (flags & ACK and len(body)):
            raise _Broken("wrong SETTINGS")
        self._settled = True
        if not flags & ACK:
            self._send(SETTINGS, ACK, 0, b"")

    def _on_ping(self, flags: int, stream: int, body: memoryview) -> None:
        if stream or len(body) != 8:
            raise _Broken("a wrong PING")
        if not flags & ACK:
            self._send(PING, ACK, 0, bytes(body))

    def _on_goaway(self, _flags: int, stream: int, body: memoryview) -> None:
        if stream or len(body) < 8:
            raise _Broken("a wrong GOAWAY")
        last, text = int.from_bytes(body[:4], "big") & _MASK, bytes(body[8:]).decode("utf-8", "replace")
        told = f"the machine ends the connection (GOAWAY {int.from_bytes(body[4:8], 'big')}) {text}".rstrip()
        self._last_word = Status.unavailable(told)
        if last < _STREAM:
            self._end(self._last_word, refused=True)

    def _on_window(self, _flags: int, _stream: int, body: memoryview) -> None:
        if len(body) != 4 or not int.from_bytes(body, "big") & _MASK:
            raise _Broken("a wrong WINDOW_UPDATE")

    def _on_push(self, _flags: int, _stream: int, _body: memoryview) -> None:
        raise _Broken("a push, which was switched off")

    def _on_priority(self, _flags: int, stream: int, body: memoryview) -> None:
        if not stream or len(body) != 5:
            raise _Broken("a wrong PRIORITY")

    def _refill(self) -> None:
        """Give the window back long before it is used up."""
        if self._received > self._window // 2:
            for stream in (0, _STREAM):
                self._send(WINDOW_UPDATE, 0, stream, self._received.to_bytes(4, "big"))
            self._received = 0

    def _send(self, kind: int, flags: int, stream: int, body: bytes) -> None:
        self.outgoing += _HEADER.pack(len(body) << 8 | kind, flags, stream) + body

    def _end(self, status: Status, *, refused: bool = False) -> None:
        if self.ended is None:
            self.ended = Ended(status, refused)
            self._rest = b""


def _unpadded(flags: int, body: memoryview) -> memoryview:
    if not flags & PADDED:
        return body
    if not len(body) or body[0] >= len(body):
        raise _Broken("more padding than frame")
    return body[1 : len(body) - body[0]]


_TAKES: Final[Mapping[int, Callable[[ServerStream, int, int, memoryview], None]]] = {
    HEADERS: ServerStream._on_headers,  # noqa: SLF001
    PRIORITY: ServerStream._on_priority,  # noqa: SLF001
    RST_STREAM: ServerStream._on_reset,  # noqa: SLF001
    SETTINGS: ServerStream._on_settings,  # noqa: SLF001
    PUSH_PROMISE: ServerStream._on_push,  # noqa: SLF001
    PING: ServerStream._on_ping,  # noqa: SLF001
    GOAWAY: ServerStream._on_goaway,  # noqa: SLF001
    WINDOW_UPDATE: ServerStream._on_window,  # noqa: SLF001
    CONTINUATION: ServerStream._on_continuation,  # noqa: SLF001
}
