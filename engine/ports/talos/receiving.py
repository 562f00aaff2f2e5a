"""Receive a heavy server stream in the thread that wants it: node's socket, TLS, `http2`, messages.

For what is long and fast, such as a snapshot: blocking reads, so that TCP holds the node back while the
caller is busy. Never used in a pass. A silence longer than `silence_s` ends the stream. Neighbours:
`dial` connected and `client` hands over; `http2` understands the bytes.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

from engine.base.errors import RemoteError
from engine.ports.talos.dial import Dialled
from engine.ports.talos.failures import of_dial, of_stream
from engine.ports.talos.http2 import Ended, ServerStream

_CHUNK = 262144


class Receiving:
    """An open stream. Iterate over its messages; leaving the `with` block ends it, whole or not.

    `on_end` is told once how it ended: a RemoteError, or None after an OK or when the caller left.
    """

    def __init__(
        self,
        node: Dialled,
        request: bytes,
        *,
        source: str,
        method: str,
        silence_s: float,
        on_end: Callable[[RemoteError | None], None],
    ) -> None:
        self._node = node
        self._stream = ServerStream(source, method, request)
        self._source, self._method = source, method
        self._silence_s = silence_s
        self._on_end = on_end
        self._open = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close(error if isinstance(error, RemoteError) else None)

    def __iter__(self) -> Iterator[memoryview]:
        """Every message as it was serialized, without copies where one came in one frame.

        Raises RemoteError when the stream ends in any other way than with an OK; messages before it were
        given. A view is good until the next message is asked for, and may be kept.
        """
        self._node.sock.settimeout(self._silence_s)
        self._send()
        yield from self._stream.feed(self._node.first)
        while self._stream.ended is None:
            self._send()
            data = self._receive()
            if data:
                yield from self._stream.feed(data)
        self._finish(self._stream.ended)

    def _send(self) -> None:
        if self._stream.outgoing:
            self._node.tls.write(self._stream.outgoing)
            self._stream.outgoing.clear()
        waiting = self._node.outgoing.read()
        if waiting:
            try:
                self._node.sock.sendall(waiting)
            except OSError as error:
                # What the node had said is still read; only the end of that is the end.
                self._stream.lost(_words(error, self._source))

    def _receive(self) -> bytes:
        """The next bytes; nothing when the connection has ended, which the stream then knows."""
        while self._stream.ended is None:
            try:
                data = self._node.tls.read(_CHUNK)
                if not data:
                    self._stream.lost("the machine closed the connection")
                return data
            except ssl.SSLWantReadError:
                self._fill()
            except ssl.SSLError as error:
                self._stream.lost(_words(error, self._source))
        return b""

    def _fill(self) -> None:
        try:
            raw = self._node.sock.recv(_CHUNK)
        except TimeoutError:
            self._stream.lost(f"nothing came for {self._silence_s:g} s")
            return
        except OSError as error:
            self._stream.lost(_words(error, self._source))
            return
        if raw:
            self._node.incoming.write(raw)
        else:
            self._node.incoming.write_eof()

    def _finish(self, ended: Ended) -> None:
        error = None if ended.status.is_ok else self._error(ended)
        self._close(error)
        if error is not None:
            raise error

    def _error(self, ended: Ended) -> RemoteError:
        return of_stream(ended.status, self._source, self._method, refused=ended.refused)

    def _close(self, error: RemoteError | None) -> None:
        if self._open:
            self._open = False
            self._node.sock.close()
            self._on_end(error)


def _words(error: OSError, source: str) -> str:
    return of_dial(error, source).message
