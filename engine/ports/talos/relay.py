"""Carry bytes between a dialled node and the private socket that grpcio speaks on.

Raw non-blocking sockets and an SSLObject on the loop: no threads, at most 256 KiB a direction held
back, the kernel's error kept. Counts the requests it passes up before it writes them, so that
"not sent" can be proved. Neighbours: `dial` hands the node over, `connections` owns the relay.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable

from engine.ports.talos.dial import Dialled
from engine.ports.talos.frames import RequestCounter

_CHUNK = 65536
_HIGH_WATER = 262144


class Relay:
    """One connection to one node, until either side ends it."""

    def __init__(
        self,
        node: Dialled,
        local: socket.socket,
        on_close: Callable[[], None],
        hear: Callable[[bytes], object] | None = None,
    ) -> None:
        """`hear` is given everything that the node says, before grpcio is."""
        self._loop = asyncio.get_running_loop()
        self._node = node.sock
        self._local = local
        self._tls, self._incoming, self._outgoing = node.tls, node.incoming, node.outgoing
        self._counter = RequestCounter()
        self._to_node = bytearray()
        self._to_local = bytearray()
        self._watched: dict[socket.socket, tuple[bool, bool]] = {}
        self._ending = False
        self._closed = False
        self._on_close = on_close
        self._hear = hear
        self._hand_down(node.first)
        self._decrypt()
        self._flush()

    @property
    def requests(self) -> int:
        """How many requests were passed up to the node, or may have been."""
        return self._counter.requests

    def close(self) -> None:
        """Cut both sides at once."""
        if self._closed:
            return
        self._closed = True
        for end in (self._node, self._local):
            self._set(end, read=False, write=False)
            end.close()
        self._on_close()

    def _node_readable(self) -> None:
        try:
            data = self._node.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            self._end()
            return
        if not data:
            self._end()
            return
        self._incoming.write(data)
        self._decrypt()
        self._flush()

    def _decrypt(self) -> None:
        try:
            # An SSLObject gives b"" for ever after close_notify: that is the end, not a pause.
            while data := self._tls.read(_CHUNK):
                self._hand_down(data)
            self._ending = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:
            self._ending = True

    def _hand_down(self, data: bytes) -> None:
        if self._hear is not None:
            self._hear(data)
        self._to_local += data

    def _local_readable(self) -> None:
        try:
            data = self._local.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        self._counter.feed(data)
        try:
            self._tls.write(data)
        except ssl.SSLError:
            self._end()
            return
        self._flush()

    def _end(self) -> None:
        """The node is gone: what it had said is still handed down."""
        self._ending = True
        self._flush()

    def _flush(self) -> None:
        if self._closed:
            return
        self._to_node += self._outgoing.read()
        try:
            _send(self._local, self._to_local)
            if not self._ending:
                _send(self._node, self._to_node)
        except OSError:
            self.close()
            return
        if self._ending and not self._to_local:
            self.close()
            return
        self._watch()

    def _watch(self) -> None:
        hungry = len(self._to_local) < _HIGH_WATER and not self._ending
        room = len(self._to_node) < _HIGH_WATER and not self._ending
        self._set(self._node, read=hungry, write=bool(self._to_node) and not self._ending)
        self._set(self._local, read=room, write=bool(self._to_local))

    def _set(self, end: socket.socket, *, read: bool, write: bool) -> None:
        was_read, was_write = self._watched.get(end, (False, False))
        self._watched[end] = (read, write)
        readable = self._node_readable if end is self._node else self._local_readable
        if read != was_read:
            if read:
                self._loop.add_reader(end, readable)
            else:
                self._loop.remove_reader(end)
        if write != was_write:
            if write:
                self._loop.add_writer(end, self._flush)
            else:
                self._loop.remove_writer(end)


def _send(end: socket.socket, pending: bytearray) -> None:
    if not pending:
        return
    try:
        del pending[: end.send(pending)]
    except BlockingIOError:
        return
