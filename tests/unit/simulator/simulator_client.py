"""A small Talos client for tests, apart from the engine's own: grpcio behind two threads and Python's ssl."""

from __future__ import annotations

import select
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

import grpc

from engine.machineconfig.certificates import Pair, relabel
from engine.protocol import message_class, methods, to_message, to_value

T = TypeVar("T")
_TCP_CLOSE = 7
_LOST = ("Listen", "Drop", "Overflow", "Memory", "Pressure", "Timeouts", "SynRetrans", "Challenge")


class Client:
    """One connection to one machine; `pair` and `ca` None means maintenance mode."""

    def __init__(
        self, address: str, ca: str | None = None, pair: Pair | None = None, port: int = 50000
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="client-")
        context = ssl.create_default_context(cadata=ca)
        context.set_alpn_protocols(["h2"])
        if ca is None:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if pair is not None:
            path = Path(self._folder.name, "pair.pem")
            path.write_text(pair.crt + relabel(pair.key))
            context.load_cert_chain(path)
        raw = socket.socket()
        raw.settimeout(5)
        try:
            raw.connect((address, port))
            self.tls = context.wrap_socket(raw, server_hostname=address)
        except OSError as error:
            if isinstance(error, TimeoutError):
                error.add_note(_network(address, raw))
            raw.close()
            self._folder.cleanup()
            raise
        self.tls.setblocking(False)
        self._turn = threading.Lock()
        self.reset = False
        self.certificate = self.tls.getpeercert(binary_form=True) or b""
        self._path = path = str(Path(self._folder.name, "s"))
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen(1)
        # Closing a descriptor under a thread that reads it would let it read from whoever gets the number next.
        self._threads = [threading.Thread(target=self._serve, args=(listener,), daemon=True)]
        self._threads[0].start()
        self._channel = grpc.insecure_channel(f"unix:{path}", options=[("grpc.default_authority", address)])

    def call(self, method: str, value: Mapping[str, Any] | None = None, **metadata: Any) -> dict[str, Any]:
        """A unary call; the only message of a server stream's first reply otherwise."""
        return to_value(self.message(method, value, **metadata))

    def message(self, method: str, value: Mapping[str, Any] | None = None, **metadata: Any) -> Any:
        found = methods()[method]
        stub = self._channel.unary_unary(
            f"/{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=message_class(found.output.full_name).FromString,
        )
        return stub(to_message(found, value or {}), timeout=10, metadata=_pairs(metadata))

    def raw(self, method: str) -> bytes:
        """A unary call of any name with an empty message."""
        return self._channel.unary_unary(f"/{method}")(b"", timeout=10)  # type: ignore[no-any-return]

    def stream(
        self, method: str, value: Mapping[str, Any] | None = None, timeout: float = 20
    ) -> Iterator[Any]:
        """Messages of a server stream as they come."""
        found = methods()[method]
        stub = self._channel.unary_stream(
            f"/{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=message_class(found.output.full_name).FromString,
        )
        return stub(to_message(found, value or {}), timeout=timeout)  # type: ignore[no-any-return]

    def upload(self, method: str, values: Iterator[Mapping[str, Any]], timeout: float = 20) -> Any:
        """The reply to a client stream of these messages."""
        found = methods()[method]
        stub = self._channel.stream_unary(
            f"/{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=message_class(found.output.full_name).FromString,
        )
        kind = message_class(found.input.full_name)
        return stub((kind(**value) for value in values), timeout=timeout)

    def close(self) -> None:
        self._channel.close()
        with suppress(OSError):
            socket.socket.shutdown(self.tls, socket.SHUT_RDWR)
        with suppress(OSError), socket.socket(socket.AF_UNIX) as waker:
            waker.connect(self._path)
        for thread in list(self._threads):
            thread.join()
        self.tls.close()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _note_the_end(self) -> None:
        # Python's ssl makes an orderly end of a TCP reset; the kernel knows better.
        with suppress(OSError):
            self.reset = self.tls.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _TCP_CLOSE

    def _serve(self, listener: socket.socket) -> None:
        local, _ = listener.accept()
        listener.close()
        upward = threading.Thread(target=_copy, args=(local.recv, self._send, (local, self.tls)), daemon=True)
        upward.start()
        _copy(self._receive, local.sendall, (self.tls, local), self._note_the_end)
        upward.join()
        local.close()

    def _receive(self, size: int) -> bytes:
        return self._in_turn(partial(self.tls.recv, size))

    def _send(self, data: bytes) -> None:
        while data:
            data = data[self._in_turn(partial(self.tls.send, data)) :]

    def _in_turn(self, act: Callable[[], T]) -> T:
        # OpenSSL lets one thread at a time at a connection, and Python before 3.13 does not see to it.
        while True:
            with self._turn:
                try:
                    return act()
                except ssl.SSLWantReadError:
                    wanted = select.POLLIN
                except ssl.SSLWantWriteError:
                    wanted = select.POLLOUT
            ready = select.poll()
            ready.register(self.tls, wanted)
            ready.poll()


def _pairs(metadata: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        (key, item)
        for key, value in metadata.items()
        for item in (value if isinstance(value, list) else [value])
    ]


def _copy(
    receive: Callable[[int], bytes],
    send: Callable[[bytes], object],
    ends: tuple[socket.socket, socket.socket],
    ended: Callable[[], None] = lambda: None,
) -> None:
    try:
        while data := receive(65536):
            send(data)
    except (OSError, ValueError):
        pass
    ended()
    for end in ends:
        with suppress(OSError):
            socket.socket.shutdown(end, socket.SHUT_RDWR)


def _network(address: str, end: socket.socket) -> str:
    """What the kernel knows of the connections to this address, and of what it has lost: for who reads of a timeout."""
    number = socket.inet_aton(address)[::-1].hex().upper()
    connections = [line for line in Path("/proc/net/tcp").read_text().splitlines() if number in line]
    rows = [line.split() for line in Path("/proc/net/netstat").read_text().splitlines()]
    counted = {
        name: count
        for names, counts in zip(rows[::2], rows[1::2], strict=True)
        for name, count in zip(names, counts, strict=True)
    }
    lost = [
        f"{name}={count}"
        for name, count in counted.items()
        if count != "0" and any(word in name for word in _LOST)
    ]
    return "\n".join(
        [f"local end {end.getsockname()}; /proc/net/tcp:", *connections, "lost: " + " ".join(lost)]
    )
