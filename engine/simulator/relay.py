"""Carries bytes between one TLS client and the gRPC server's unix socket.

Raw non-blocking sockets with SSLObject and MemoryBIO on the running loop: no threads, bounded
memory (256 KiB a direction), errno kept. Knows nothing of HTTP/2 or machines. Neighbour: `front`.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from engine.simulator.cable import pull

CHUNK: Final = 65536
HIGH_WATER: Final = 262144
HANDSHAKE_S: Final = 20.0
_AT_ONCE: Final = struct.pack("ii", 1, 0)


class Relay:
    """One connection. `admit(relay, tls)` opens the backend after the handshake or gives None."""

    def __init__(
        self,
        client: socket.socket,
        context: ssl.SSLContext,
        admit: Callable[[Relay, ssl.SSLObject], socket.socket | None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._client = client
        self._backend: socket.socket | None = None
        self._admit = admit
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._to_client = bytearray()
        self._to_backend = bytearray()
        self._frozen = False
        self._ending = False
        self._deaf = False
        self._closed = False
        self._watched: dict[socket.socket, tuple[bool, bool]] = {}
        self._closing: list[Callable[[], object]] = []
        self._sending: list[Callable[[], object]] = []
        self._patience: asyncio.TimerHandle | None = None

    def on_close(self, callback: Callable[[], object]) -> None:
        """Call this once when the connection has ended."""
        self._closing.append(callback)

    def start(self) -> None:
        self._patience = self._loop.call_later(HANDSHAKE_S, self._lose_patience)
        self._watch()

    def freeze(self, frozen: bool) -> None:
        """Neither read nor write while frozen; what is in flight stays where it is."""
        self._frozen = frozen
        if not self._closed:
            self._watch()

    def vanish(self) -> None:
        """Freeze, and let no packet of the client be answered any more."""
        self.freeze(True)
        if not self._closed:
            pull(self._client)

    def when_sent(self, callback: Callable[[], object]) -> None:
        """Call this once everything that the server has written so far is in the client's socket, or never will be."""
        if self._closed or self._deaf:
            callback()
            return
        self._sending.append(callback)
        while self._backend is not None and not (self._frozen or self._ending) and self._take():
            pass
        self._flush()

    def close(self) -> None:
        """Cut both sides at once."""
        if self._closed:
            return
        self._closed = True
        if self._patience is not None:
            self._patience.cancel()
        for end in (self._client, self._backend):
            if end is not None:
                self._set(end, read=False, write=False)
                end.close()
        self._call(self._closing)
        self._call(self._sending)

    def end(self) -> None:
        """Say in order that nothing more will come, whatever was still to be said, and wait for the client to go."""
        if self._closed or self._deaf:
            return
        self._deaf = True
        self._to_client.clear()
        self._call(self._sending)
        if self._backend is not None:
            self._set(self._backend, read=False, write=False)
            self._backend.close()
            self._backend = None
        with suppress(OSError):
            self._client.shutdown(socket.SHUT_WR)
        self._watch()

    def reset(self) -> None:
        """Cut both sides at once, the client's with a TCP reset: what was not yet read there is lost."""
        if not self._closed:
            self._client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        self.close()

    def _lose_patience(self) -> None:
        if self._backend is None and not self._frozen:
            self.close()

    def _client_readable(self) -> None:
        try:
            data = self._client.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        if not data:
            self.close()
            return
        if not self._deaf:
            self._incoming.write(data)
            self._pump()

    def _backend_readable(self) -> None:
        self._take()
        self._flush()

    def _take(self) -> bool:
        """Encrypt what the server has written; whether there was anything."""
        assert self._backend is not None
        try:
            data = self._backend.recv(CHUNK)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if data:
            self._tls.write(data)
        else:
            self._ending = True
        return bool(data)

    def _pump(self) -> None:
        if self._backend is None and not self._shake_hands():
            return
        try:
            while data := self._tls.read(CHUNK):
                self._to_backend += data
            self._ending = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:
            self._ending = True
        self._flush()

    def _shake_hands(self) -> bool:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return False
        except ssl.SSLError:
            self._ending = True
            self._flush()
            return False
        try:
            self._backend = self._admit(self, self._tls)
        except OSError:
            self._backend = None
        if self._backend is None:
            self.close()
            return False
        return True

    def _flush(self) -> None:
        if self._closed or self._frozen or self._deaf:
            return
        self._to_client += self._outgoing.read()
        try:
            _send(self._client, self._to_client)
            if self._backend is not None:
                _send(self._backend, self._to_backend)
        except OSError:
            self.close()
            return
        if self._ending and not self._to_client:
            self.close()
            return
        self._watch()
        if not self._to_client:
            self._call(self._sending)

    @staticmethod
    def _call(callbacks: list[Callable[[], object]]) -> None:
        waiting = list(callbacks)
        callbacks.clear()
        for callback in waiting:
            callback()

    def _watch(self) -> None:
        running = not self._frozen
        hungry = len(self._to_backend) < HIGH_WATER and not self._ending
        self._set(self._client, read=running and hungry, write=running and bool(self._to_client))
        if self._backend is not None:
            room = len(self._to_client) < HIGH_WATER and not self._ending
            self._set(self._backend, read=running and room, write=running and bool(self._to_backend))

    def _set(self, end: socket.socket, *, read: bool, write: bool) -> None:
        was_read, was_write = self._watched.get(end, (False, False))
        self._watched[end] = (read, write)
        readable = self._client_readable if end is self._client else self._backend_readable
        if read and not was_read:
            self._loop.add_reader(end, readable)
        elif was_read and not read:
            self._loop.remove_reader(end)
        if write and not was_write:
            self._loop.add_writer(end, self._flush)
        elif was_write and not write:
            self._loop.remove_writer(end)


def _send(end: socket.socket, pending: bytearray) -> None:
    if not pending:
        return
    try:
        del pending[: end.send(pending)]
    except BlockingIOError:
        return
