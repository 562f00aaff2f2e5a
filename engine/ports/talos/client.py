"""Call Talos nodes: any method by its name, from any thread, with a deadline.

One background thread owns the loop, the connections and gRPC; a pass hands all its calls over as
one coroutine. Every call is counted in one place. Never retries: the caller is told whether
anything was sent. What changes a node is begun and ended within the tenure, or not sent. Neighbours: `connections`,
`grpccalls`, `failures`; `engine.nodes` and the capabilities call.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import math
import threading
import time
from collections.abc import AsyncIterable, Callable, Coroutine, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import grpc

from engine import protocol
from engine.base.errors import OutcomeUnknown, RemoteError, Sent, Unreachable
from engine.base.tenure import Tenure
from engine.ports.talos.address import Address, parse_address
from engine.ports.talos.connections import Connections
from engine.ports.talos.dial import Dialled, dial
from engine.ports.talos.failures import of_call, of_stream
from engine.ports.talos.grpccalls import LastWord, exchange, upload
from engine.ports.talos.identity import Identity
from engine.ports.talos.replies import ask, check_metadata

if TYPE_CHECKING:
    from engine.ports.talos.watches import Watches

T = TypeVar("T")

_STOP_S = 5.0
_SMALL = 8192
"""No question is longer; what is goes through gRPC, which knows flow control."""
_CANCELLED = RemoteError("the caller left", code="CANCELLED")


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One call as metrics count it; `code` is a gRPC status name, or the cause of a failed dial."""

    method: str
    address: str
    code: str
    seconds: float
    sent: Sent


class TalosClient:
    """Talks to nodes. `loopback_only`: refuse every other address, for simulated machines."""

    def __init__(
        self,
        *,
        loopback_only: bool = False,
        capacity: int = 256,
        on_call: Callable[[CallRecord], None] | None = None,
        tenure: Tenure | None = None,
    ) -> None:
        """Changes nodes only within `tenure`; None: always."""
        self._tenure = tenure or Tenure.unlimited()
        self._loopback_only = loopback_only
        self._capacity = capacity
        self._on_call = on_call
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="talos-loop", daemon=True)
        self._connections: Connections | None = None
        self._watches: Watches | None = None

    @property
    def loopback_only(self) -> bool:
        """Whether only simulated machines, on addresses of this machine's own, may be dialled."""
        return self._loopback_only

    def start(self) -> None:
        """Start the loop's thread."""
        self._thread.start()
        self.run(self._make(), timeout_s=_STOP_S)

    def close(self) -> None:
        """End every connection and the loop."""
        if not self._thread.is_alive():
            self._loop.close()
            return
        try:
            if self._connections is not None:
                self.run(_wind_down(self._connections, self._watches), timeout_s=2 * _STOP_S)
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(_STOP_S)
            self._loop.close()

    @property
    def watches(self) -> Watches:
        """The connections that are kept open for what machines tell by themselves; after `start`."""
        if self._watches is None:
            self._watches = self.run(self._make_watches(), timeout_s=_STOP_S)
        return self._watches

    def run(self, work: Coroutine[Any, Any, T], *, timeout_s: float) -> T:
        """Run a coroutine in the loop and wait for it; raises what it raises.

        Raises OutcomeUnknown when it has not ended in time, which its own deadlines should prevent.
        """
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(timeout_s)
        except concurrent.futures.CancelledError as error:
            raise OutcomeUnknown("the client was closed meanwhile", code="CANCELLED") from error
        except concurrent.futures.TimeoutError as error:
            if future.done():
                raise
            future.cancel()
            raise OutcomeUnknown(
                f"not ended within {timeout_s:g} s", sent="unknown", code="DeadlineExceeded"
            ) from error

    async def call(
        self,
        address: str,
        identity: Identity | None,
        method: str,
        request: protocol.Message,
        *,
        deadline_s: float,
        limit: int = 1000,
        exclusive: bool = False,
    ) -> list[protocol.Message]:
        """One reply of a unary method, or at most `limit` of a server stream.

        `identity` None: maintenance mode, without a client certificate. `exclusive`: over a connection
        of its own, so that `sent` is exact. Raises RemoteError.
        """
        with self._counted(method, address):
            where = parse_address(address, loopback_only=self._loopback_only)
            until = asyncio.get_running_loop().time() + deadline_s
            return await self._call(where, identity, method, request, until, limit, exclusive=exclusive)

    async def upload(
        self,
        address: str,
        identity: Identity,
        method: str,
        messages: AsyncIterable[protocol.Message],
        *,
        deadline_s: float,
    ) -> protocol.Message:
        """The one reply to a client stream, over a connection of its own, so that `sent` is exact.

        `messages` are asked for one by one, as the node takes them. Raises RemoteError: `sent` is "no" only
        when not even the first of them can have left; what `messages` raises goes on as it is.
        """
        with self._counted(method, address):
            where = parse_address(address, loopback_only=self._loopback_only)
            until = asyncio.get_running_loop().time() + deadline_s
            return await self._upload(where, identity, method, messages, until)

    async def dial(self, address: str, identity: Identity | None, *, deadline_s: float) -> None:
        """Have a connection to the node without asking anything; raises Unreachable with the cause."""
        where = parse_address(address, loopback_only=self._loopback_only)
        until = asyncio.get_running_loop().time() + deadline_s
        async with self._pool().borrow(where, identity, until=until, exclusive=False):
            return

    def receive(
        self,
        address: str,
        identity: Identity | None,
        method: str,
        request: protocol.Message,
        *,
        dial_s: float,
        silence_s: float,
    ) -> AbstractContextManager[Iterable[memoryview]]:
        """A server stream of `method` over a connection of its own, to be read in the calling thread.

        Sends nothing before it is iterated over. Raises Unreachable, nothing sent, when the node is not
        reached within `dial_s`; ends when nothing comes for `silence_s`.
        """
        # As for the watches: only who takes a stream pays for this.
        from engine.ports.talos.receiving import Receiving

        started = time.monotonic()

        def count(error: RemoteError | None) -> None:
            self._count(method, address, started, error)

        try:
            where = parse_address(address, loopback_only=self._loopback_only)
            node = self.run(_dialled(where, identity, dial_s), timeout_s=dial_s + _STOP_S)
        except RemoteError as error:
            error.operation = error.operation or method
            count(error)
            raise
        message = request.SerializeToString()
        return Receiving(node, message, source=str(where), method=method, silence_s=silence_s, on_end=count)

    @contextlib.contextmanager
    def _counted(self, method: str, address: str) -> Iterator[None]:
        """Count what is done in the block as one call, and have its error say which."""
        started = time.monotonic()
        ended: RemoteError | None = _CANCELLED
        try:
            yield
            ended = None
        except RemoteError as error:
            error.operation = error.operation or method
            ended = error
            raise
        finally:
            self._count(method, address, started, ended)

    def _count(self, method: str, address: str, started: float, error: RemoteError | None) -> None:
        """Tell of one call that has ended; the only place that does."""
        if self._on_call is not None:
            code = "OK" if error is None else error.code
            sent: Sent = "yes" if error is None else error.sent
            self._on_call(CallRecord(method, address, code, time.monotonic() - started, sent))

    async def _call(
        self,
        where: Address,
        identity: Identity | None,
        method: str,
        request: protocol.Message,
        until: float,
        limit: int,
        *,
        exclusive: bool,
    ) -> list[protocol.Message]:
        # What a machine is watched over is as good for a question: no other connection is dialled for it.
        watching = None if exclusive or self._watches is None else self._watches.connection(where, identity)
        reads = protocol.methods()[method].effect == "read" and request.ByteSize() <= _SMALL
        if watching is not None and reads:
            return await ask(watching, str(where), method, request, until, limit)
        async with self._pool().borrow(where, identity, until=until, exclusive=exclusive) as connection:
            before = connection.requests
            # Looked at last of all, when the connection is there: what is sent now must also end in time.
            with self._allowed(method) as longest_s:
                left_s = max(0.001, min(longest_s, until - asyncio.get_running_loop().time()))
                try:
                    replies = await exchange(connection, method, request, left_s, limit)
                except grpc.aio.AioRpcError as error:
                    sent = connection.sent_since(before)
                    raise of_call(error, str(where), method, headers_sent=sent) from None
        for reply in replies:
            check_metadata(reply, str(where), method)
        return replies

    async def _upload(
        self,
        where: Address,
        identity: Identity,
        method: str,
        messages: AsyncIterable[protocol.Message],
        until: float,
    ) -> protocol.Message:
        word = LastWord()
        borrowed = self._pool().borrow(where, identity, until=until, exclusive=True, hear=word.hear)
        async with borrowed as connection:
            before = connection.requests
            left_s = max(0.001, until - asyncio.get_running_loop().time())

            def check() -> None:
                """It may take longer than a lease, so each message asks."""
                self._tenure.check(method)

            with self._allowed(method):
                try:
                    answer = await upload(connection, method, messages, left_s, check)
                except grpc.aio.AioRpcError as error:
                    status = word.status
                    if status is not None and not status.is_ok:
                        raise of_stream(status, str(where), method, refused=False) from None
                    sent = connection.sent_since(before)
                    raise of_call(error, str(where), method, headers_sent=sent) from None
        check_metadata(answer, str(where), method)
        return answer

    def _allowed(self, method: str) -> AbstractContextManager[float]:
        """Around one call: the seconds it may take; what only reads may take any time."""
        if protocol.methods()[method].effect == "read":
            return contextlib.nullcontext(math.inf)
        return self._tenure.effect(method)

    def _pool(self) -> Connections:
        if self._connections is None:
            raise Unreachable("the client is not started", sent="no")
        return self._connections

    async def _make(self) -> None:
        self._connections = Connections(self._capacity, self._is_watched)

    def _is_watched(self, address: Address) -> bool:
        return self._watches is not None and self._watches.is_watched(address)

    async def _make_watches(self) -> Watches:
        # Whoever takes no stream need not pay for the tables of header compression.
        from engine.ports.talos.watches import Watches

        return Watches(self._pool(), self._count)


async def _wind_down(connections: Connections, watches: Watches | None) -> None:
    """End the connections, and give those whose calls end with them the time to learn it."""
    if watches is not None:
        watches.close()
    await connections.close()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_STOP_S):
            while rest := asyncio.all_tasks() - {asyncio.current_task()}:
                await asyncio.wait(rest)


async def _dialled(where: Address, identity: Identity | None, within_s: float) -> Dialled:
    try:
        async with asyncio.timeout(within_s):
            return await dial(where, identity)
    except TimeoutError as error:
        message = f"not reached within {within_s:g} s"
        raise Unreachable(message, source=str(where), sent="no", code="ConnectTimeout") from error


__all__ = ["CallRecord", "Identity", "TalosClient"]
