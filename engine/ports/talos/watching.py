"""One connection to a node that is kept open for what the node tells by itself: several streams, no thread, no task.

While it is open the node may be asked over it, too: no second connection is needed for that. Reads when the kernel has something, on the loop; at rest it costs its memory and nothing else. The first end of a
stream that is no lasting refusal is the end of all of them. Never opens itself again. Neighbours: `watches` opens
and is told, `dial` connected, `http2` understands the bytes.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from engine.base.errors import RemoteError
from engine.ports.talos.dial import PIECE, RECORD, Dialled
from engine.ports.talos.failures import of_dial, of_stream
from engine.ports.talos.grpcstatus import LASTING
from engine.ports.talos.http2 import Call, Connection, Ended
from engine.ports.talos.watched import Stream

_WINDOW: Final = 1 << 20
_LONGEST: Final = 32 << 20


class Listener(Protocol):
    """Whoever is told; called on the loop, so it has to be quick."""

    def told(self, message: memoryview) -> bool:
        """A message after the preamble of its stream; whether that goes on being of use."""

    def answered(self) -> None:
        """Every stream has sent its first message, or was refused for good."""

    def refused(self, stream: int, error: RemoteError) -> None:
        """The node will not serve this stream, however often it is asked."""

    def ended(self, error: RemoteError) -> None:
        """All is over, once."""


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """A call that somebody waits for."""

    call: Call
    limit: int
    done: asyncio.Future[None]


class Watching:
    """An open connection."""

    __slots__ = (
        "_asked",
        "_calls",
        "_heard",
        "_http",
        "_listener",
        "_loop",
        "_node",
        "_source",
        "_streams",
        "_writing",
        "closed",
    )

    def __init__(self, node: Dialled, source: str, streams: Sequence[Stream], listener: Listener) -> None:
        self._loop = asyncio.get_running_loop()
        self._node = node
        self._listener = listener
        self._source = source
        self._streams = streams
        self._http = Connection(source, max_message=_LONGEST, window=_WINDOW)
        self._calls: list[Call | None] = [self._http.open(each.method, each.request) for each in streams]
        self._heard = bytearray(len(streams))
        self._asked: tuple[_Asked, ...] = ()
        self._writing = False
        self.closed = False
        self._loop.add_reader(node.sock, self._readable)
        self._loop.call_soon(self._begin)

    @property
    def takes_calls(self) -> bool:
        """Whether the node can be asked over this connection."""
        return not self.closed and self._http.takes_calls

    async def ask(self, method: str, request: bytes, limit: int) -> list[bytes]:
        """The replies to one call, at most `limit`; raises RemoteError. Cancelled: the node is told so."""
        call = self._http.open(method, request)
        asked = _Asked(call, limit, self._loop.create_future())
        self._asked += (asked,)
        self._flush()
        try:
            await asked.done
        finally:
            self._asked = tuple(each for each in self._asked if each is not asked)
            if call.ended is None:
                self._http.cancel(call)
                self._flush()
        replies = [bytes(each) for each in call.take()[:limit]]
        ended = call.ended
        if len(replies) < limit and ended is not None and not ended.status.is_ok:
            raise of_stream(ended.status, self._source, method, refused=ended.refused)
        return replies

    def close(self) -> None:
        """End it without telling the listener; whoever has asked something learns that there is no answer."""
        if not self.closed:
            self.closed = True
            self._http.lost("the connection was given up")
            self._answer()
            self._loop.remove_reader(self._node.sock)
            self._loop.remove_writer(self._node.sock)
            self._node.sock.close()

    def _begin(self) -> None:
        """What the node has said while it was dialled, part of it perhaps still encrypted; then our requests."""
        if self.closed:
            return
        first, self._node.first = self._node.first, b""
        self._http.feed(first)
        self._look()
        if not self.closed:
            self._decrypt()

    def _readable(self) -> None:
        try:
            # What is left has the loop call again.
            data = self._node.sock.recv(PIECE)
        except BlockingIOError:
            return
        except OSError as error:
            self._lost(of_dial(error, self._source).message)
            return
        if data:
            self._node.incoming.write(data)
        else:
            self._node.incoming.write_eof()
        self._decrypt()

    def _decrypt(self) -> None:
        try:
            # An SSLObject gives b"" for ever after close_notify: that is the end, not a pause.
            while data := self._node.tls.read(RECORD):
                self._http.feed(data)
                self._look()
                if self.closed:
                    return
            self._lost("the machine closed the connection")
        except ssl.SSLWantReadError:
            self._flush()
        except ssl.SSLError as error:
            self._lost(of_dial(error, self._source).message)

    def _look(self) -> None:
        """Hand on what came, and see what has ended."""
        unheard = 0 in self._heard
        for stream, call in enumerate(self._calls):
            if call is None:
                continue
            useful = self._hand_on(stream, call)
            if self.closed:
                return
            if not useful:
                self._lost("what it tells is not whole any more")
                return
            if call.ended is not None:
                error = self._error(stream, call.ended)
                if call.ended.status.number not in LASTING:
                    self._end(error)
                    return
                self._calls[stream], self._heard[stream] = None, 1
                self._listener.refused(stream, error)
                if not any(self._calls):
                    self._end(error)
                    return
        if unheard and 0 not in self._heard:
            self._listener.answered()
        self._answer()

    def _answer(self) -> None:
        """Wake those whose call has ended or given enough."""
        for asked in self._asked:
            call = asked.call
            if (call.ended is not None or len(call.messages) >= asked.limit) and not asked.done.done():
                asked.done.set_result(None)

    def _hand_on(self, stream: int, call: Call) -> bool:
        useful = True
        for message in call.take():
            ordinal = self._heard[stream]
            if ordinal >= self._streams[stream].preamble:
                useful = self._listener.told(message) and useful
            self._heard[stream] = min(255, ordinal + 1)
        return useful

    def _flush(self) -> None:
        if self.closed:
            return
        outgoing, node = self._http.outgoing, self._node
        try:
            if outgoing:
                node.tls.write(outgoing)
                outgoing.clear()
            waiting = node.outgoing.read()
            if waiting:
                sent = node.sock.send(waiting)
                if sent < len(waiting):
                    self._later(waiting[sent:])
                    return
        except BlockingIOError:
            self._later(waiting)
            return
        except OSError as error:
            self._lost(of_dial(error, self._source).message)
            return
        if self._writing:
            self._writing = False
            self._loop.remove_writer(node.sock)

    def _later(self, rest: bytes) -> None:
        """What the kernel did not take; a request is small, so this hardly happens."""
        # Read before anything newer was written to it, so it still comes first.
        self._node.outgoing.write(rest)
        if not self._writing:
            self._writing = True
            self._loop.add_writer(self._node.sock, self._flush)

    def _lost(self, reason: str) -> None:
        self._http.lost(reason)
        stream, call = next((stream, call) for stream, call in enumerate(self._calls) if call is not None)
        assert call.ended is not None
        self._end(self._error(stream, call.ended))

    def _error(self, stream: int, ended: Ended) -> RemoteError:
        return of_stream(ended.status, self._source, self._streams[stream].method, refused=ended.refused)

    def _end(self, error: RemoteError) -> None:
        if not self.closed:
            self.close()
            self._listener.ended(error)
