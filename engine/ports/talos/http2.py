"""Receive server streams of gRPC over one HTTP/2 connection, without I/O and without grpcio.

grpcio's cost per message is too high for a snapshot, which Talos sends in messages of 1 KiB, and its
cost per open stream for a thousand watches. `outgoing` is what to send, `feed` takes what came and puts
whole messages into their Call, whose `ended` says how it ended. Never buffers more than one frame, and one
message a call; a peer that breaks the rules ends its calls, never the process. Pure.
Sources: RFC 9113 (frames), RFC 7541 by `hpack`, gRPC's PROTOCOL-HTTP2 (messages and statuses).
Neighbours: `receiving` and `watching` bring bytes, `failures` makes errors of what is `Ended`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from hpack import Decoder, Encoder, HPACKError

from engine.ports.talos.grpcmessages import PREFIX, Assembly, Compressed, TooLong
from engine.ports.talos.grpcstatus import CANCELLED, Status, of_headers, of_reset

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
_MASK: Final = 2**31 - 1
_HEADER: Final = struct.Struct(">IBI")
_SETTING: Final = struct.Struct(">HI")
_TABLE_SIZE, _ENABLE_PUSH, _INITIAL_WINDOW = 1, 2, 4
_CANCEL: Final = 8
_FIRST_WINDOW: Final = 65535


@dataclass(frozen=True, slots=True)
class Ended:
    """How a call ended. `refused`: the node has said that it did not begin with it."""

    status: Status
    refused: bool = False


class _Broken(Exception):
    """The peer breaks the protocol; the call ends with INTERNAL."""


class Call:
    """One call of a connection: the messages that came and nobody has taken yet, and how it ended."""

    __slots__ = ("answered", "assembly", "ended", "messages", "number", "received")

    def __init__(self, number: int, max_message: int) -> None:
        self.number = number
        self.ended: Ended | None = None
        self.messages: list[memoryview] = []
        self.assembly = Assembly(max_message)
        self.answered = False
        self.received = 0

    def take(self) -> list[memoryview]:
        """Whole messages, without their prefixes, in order; they are the caller's from now on."""
        messages, self.messages = self.messages, []
        return messages

    def end(self, status: Status, *, refused: bool = False) -> None:
        """The first end counts."""
        if self.ended is None:
            self.ended = Ended(status, refused)


class Connection:
    """The client's half of one connection: calls go out with `open`, what comes is given to `feed`."""

    __slots__ = (
        "_authority", "_calls", "_decoder", "_headers", "_headers_call", "_headers_flags", "_last_word", "_longest",
        "_next", "_received", "_rest", "_settled", "_tableless", "_window", "broken", "outgoing",
    )  # fmt: skip

    def __init__(self, authority: str, *, max_message: int = 32 << 20, window: int = WINDOW) -> None:
        self.outgoing = bytearray()
        self.broken = False
        """Whether the peer broke the protocol: whatever it says from now on is not looked at."""
        self._authority = authority
        self._longest = max_message
        self._window = window
        self._calls: dict[int, Call] = {}
        self._next = 1
        self._rest = b""
        self._headers: bytearray | None = None
        self._headers_flags = 0
        self._headers_call = 0
        self._settled = False
        self._received = 0
        self._decoder: Decoder | None = None
        self._tableless = False
        self._last_word: Status | None = None
        # No table of headers of the peer's: what a connection keeps for its whole life is little that way.
        settings = ((_TABLE_SIZE, 0), (_ENABLE_PUSH, 0), (_INITIAL_WINDOW, window))
        self.outgoing += PREFACE
        self._send(SETTINGS, 0, 0, b"".join(_SETTING.pack(*each) for each in settings))
        self._send(WINDOW_UPDATE, 0, 0, (window - _FIRST_WINDOW).to_bytes(4, "big"))

    def open(self, method: str, request: bytes) -> Call:
        """Begin one more call; raises ValueError for a request that would need flow control."""
        if len(request) + PREFIX > MAX_FRAME:
            raise ValueError(f"a request of {len(request)} bytes; streams take small ones")
        call = self._calls[self._next] = Call(self._next, self._longest)
        self._next += 2
        headers = Encoder().encode(
            [
                (":method", "POST"), (":scheme", "https"), (":path", f"/{method}"), (":authority", self._authority),
                ("te", "trailers"), ("content-type", "application/grpc"), ("user-agent", "talos-operator"),
            ]
        )  # fmt: skip
        self._send(HEADERS, END_HEADERS, call.number, headers)
        self._send(DATA, END_STREAM, call.number, b"\0" + len(request).to_bytes(4, "big") + request)
        return call

    @property
    def takes_calls(self) -> bool:
        """Whether one more call may be begun: not after the peer has said that it goes."""
        return not self.broken and self._last_word is None

    def cancel(self, call: Call) -> None:
        """Tell the peer that nobody waits for this call any more."""
        if self._calls.get(call.number) is call:
            self._send(RST_STREAM, 0, call.number, _CANCEL.to_bytes(4, "big"))
            self._end(call, Status(CANCELLED, "nobody waits for it any more"))

    def feed(self, data: bytes) -> None:
        """Take what came: whole messages are put into their calls."""
        if self.broken:
            return
        try:
            self._frames(self._rest + data if self._rest else data)
        except _Broken as error:
            self._break(str(error))
        except HPACKError as error:
            self._break(f"headers that cannot be read: {error}")

    def lost(self, reason: str) -> None:
        """The connection ended or was given up; the calls that have not ended yet end so."""
        self._end_all(self._last_word or Status.unavailable(reason))

    def _break(self, what: str) -> None:
        self.broken = True
        self._end_all(Status.internal(what))

    def _end_all(self, status: Status) -> None:
        self._rest = b""
        for call in self._calls.values():
            call.end(status)
        self._calls.clear()

    def _end(self, call: Call, status: Status, *, refused: bool = False) -> None:
        call.end(status, refused=refused)
        self._calls.pop(call.number, None)

    def _frames(self, data: bytes) -> None:
        """Every whole frame in `data`; the rest is kept for the next time."""
        view, place, end = memoryview(data), 0, len(data)
        unpack, calls = _HEADER.unpack_from, self._calls
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
                not word & 0xFF and flags == 0 and (call := calls.get(stream)) is not None and call.answered
                and self._headers is None and call.assembly.is_empty and stop - start >= PREFIX and not data[start]
                and int.from_bytes(data[start + 1 : start + PREFIX], "big") == stop - start - PREFIX
            ):  # fmt: skip
                self._received += stop - start
                call.received += stop - start
                call.messages.append(view[start + PREFIX : stop])
            else:
                self._frame(word & 0xFF, flags, stream & _MASK, view[start:stop])
            place = stop
        self._rest = data[place:]
        self._refill()

    def _frame(self, kind: int, flags: int, stream: int, body: memoryview) -> None:
        if not self._settled and (kind != SETTINGS or flags & ACK):
            raise _Broken("the first frame is no SETTINGS")
        if self._headers is not None and kind != CONTINUATION:
            raise _Broken("a header block is interrupted")
        if kind in _TAKES:
            _TAKES[kind](self, flags, stream, body)

    def _call(self, stream: int, what: str) -> Call | None:
        """The call of a frame; None when it has ended on our side."""
        call = self._calls.get(stream)
        if call is None and not (stream % 2 and stream < self._next):
            raise _Broken(f"{what} of stream {stream}")
        return call

    def _on_data(self, flags: int, stream: int, body: memoryview) -> None:
        call = self._call(stream, "data")
        self._received += len(body)
        if self._received > self._window:
            raise _Broken("more data than was asked for")
        if call is None:
            return
        if not call.answered:
            raise _Broken("data before headers")
        call.received += len(body)
        try:
            call.assembly.take(_unpadded(flags, body), call.messages)
        except Compressed as error:
            self._end(call, Status.internal(str(error)))
        except TooLong as error:
            self._end(call, Status.exhausted(str(error)))
        if flags & END_STREAM:
            self._end(call, Status.unknown("the answer ends without a status"))

    def _on_headers(self, flags: int, stream: int, body: memoryview) -> None:
        self._call(stream, "headers")
        body = _unpadded(flags, body)
        if flags & PRIORITIZED:
            if len(body) < 5:
                raise _Broken("headers too short for their priority")
            body = body[5:]
        self._headers, self._headers_flags, self._headers_call = bytearray(body), flags, stream
        if flags & END_HEADERS:
            self._header_block()

    def _on_continuation(self, flags: int, stream: int, body: memoryview) -> None:
        if self._headers is None or stream != self._headers_call:
            raise _Broken("a continuation of nothing")
        self._headers += body
        if len(self._headers) > MAX_HEADERS:
            raise _Broken(f"headers of more than {MAX_HEADERS} bytes")
        if flags & END_HEADERS:
            self._header_block()

    def _header_block(self) -> None:
        assert self._headers is not None
        block, self._headers = bytes(self._headers), None
        fields = self._decoded(block)
        call = self._calls.get(self._headers_call)
        last = bool(self._headers_flags & END_STREAM)
        if call is None or (not last and fields.get(":status", "").startswith("1")):
            return
        status = of_headers(fields, first=not call.answered, last=last)
        if status is not None:
            cut = status.is_ok and not call.assembly.is_empty
            self._end(call, Status.internal("the stream ended inside a message") if cut else status)
        call.answered = True

    def _decoded(self, block: bytes) -> dict[str, str]:
        """The fields of a header block. A decoder whose table the peer has closed is worth nothing and not kept."""
        decoder = self._decoder
        if decoder is None:
            decoder = Decoder(max_header_list_size=MAX_HEADERS)
            if self._tableless:
                decoder.header_table_size = 0
        fields = {
            name.decode("ascii", "replace"): value.decode("utf-8", "replace")
            for name, value in decoder.decode(block, raw=True)
        }
        self._tableless = decoder.header_table_size == 0
        self._decoder = None if self._tableless else decoder
        return fields

    def _on_reset(self, _flags: int, stream: int, body: memoryview) -> None:
        if len(body) != 4:
            raise _Broken("a wrong RST_STREAM")
        call = self._call(stream, "a reset")
        if call is not None:
            code = int.from_bytes(body, "big")
            self._end(call, of_reset(code), refused=code == 7)

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
        for call in [call for call in self._calls.values() if call.number > last]:
            self._end(call, self._last_word, refused=True)

    def _on_window(self, _flags: int, _stream: int, body: memoryview) -> None:
        if len(body) != 4 or not int.from_bytes(body, "big") & _MASK:
            raise _Broken("a wrong WINDOW_UPDATE")

    def _on_push(self, _flags: int, _stream: int, _body: memoryview) -> None:
        raise _Broken("a push, which was switched off")

    def _on_priority(self, _flags: int, stream: int, body: memoryview) -> None:
        if not stream or len(body) != 5:
            raise _Broken("a wrong PRIORITY")

    def _refill(self) -> None:
        """Give the windows back long before they are used up."""
        if self._received > self._window // 2:
            self._send(WINDOW_UPDATE, 0, 0, self._received.to_bytes(4, "big"))
            self._received = 0
        for call in self._calls.values():
            if call.received > self._window // 2:
                self._send(WINDOW_UPDATE, 0, call.number, call.received.to_bytes(4, "big"))
                call.received = 0

    def _send(self, kind: int, flags: int, stream: int, body: bytes) -> None:
        self.outgoing += _HEADER.pack(len(body) << 8 | kind, flags, stream) + body


class ServerStream:
    """One call that has a connection to itself, from its request to its status."""

    def __init__(
        self,
        authority: str,
        method: str,
        request: bytes,
        *,
        max_message: int = 32 << 20,
        window: int = WINDOW,
    ) -> None:
        self._connection = Connection(authority, max_message=max_message, window=window)
        self._call = self._connection.open(method, request)
        self.outgoing = self._connection.outgoing

    @property
    def ended(self) -> Ended | None:
        """How the call ended, None while it goes on."""
        return self._call.ended

    def feed(self, data: bytes) -> list[memoryview]:
        """Take what came; whole messages, without their prefixes, in order. Nothing more after the end."""
        if self._call.ended is not None:
            return []
        self._connection.feed(data)
        return self._call.take()

    def lost(self, reason: str) -> None:
        """The connection ended or was given up; a call that has not ended yet ends so."""
        self._connection.lost(reason)


def _unpadded(flags: int, body: memoryview) -> memoryview:
    if not flags & PADDED:
        return body
    if not len(body) or body[0] >= len(body):
        raise _Broken("more padding than frame")
    return body[1 : len(body) - body[0]]


_TAKES: Final[Mapping[int, Callable[[Connection, int, int, memoryview], None]]] = {
    DATA: Connection._on_data,  # noqa: SLF001
    HEADERS: Connection._on_headers,  # noqa: SLF001
    PRIORITY: Connection._on_priority,  # noqa: SLF001
    RST_STREAM: Connection._on_reset,  # noqa: SLF001
    SETTINGS: Connection._on_settings,  # noqa: SLF001
    PUSH_PROMISE: Connection._on_push,  # noqa: SLF001
    PING: Connection._on_ping,  # noqa: SLF001
    GOAWAY: Connection._on_goaway,  # noqa: SLF001
    WINDOW_UPDATE: Connection._on_window,  # noqa: SLF001
    CONTINUATION: Connection._on_continuation,  # noqa: SLF001
}
