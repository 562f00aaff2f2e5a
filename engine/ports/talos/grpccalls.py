"""One call over a gRPC channel: a question with its replies, or many messages with one reply.

Raises AioRpcError with the node's own status. Never dials, never counts, never retries. Neighbours: `client` calls it
and makes errors of what it raises, `connections` has the channels.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable

import grpc

from engine import protocol
from engine.ports.talos.connections import Connection
from engine.ports.talos.grpcstatus import Status


class LastWord:
    """What a node says of an upload, read beside grpcio.

    A message that cannot be written ends grpcio's call with a status of its own, even when that of the node, which is
    why it cannot be written, has come.
    """

    def __init__(self) -> None:
        # Only who uploads pays for the tables of header compression.
        from engine.ports.talos.http2 import Connection as Reading

        self._reading = Reading("")
        self._call = self._reading.open("", b"")  # the first of the connection, as grpcio's is

    def hear(self, data: bytes) -> None:
        """Everything that the node says on that connection, in order."""
        self._reading.feed(data)

    @property
    def status(self) -> Status | None:
        """How the node ended the call, None when it has not."""
        return None if self._reading.broken or self._call.ended is None else self._call.ended.status


async def exchange(
    connection: Connection, method: str, request: protocol.Message, deadline_s: float, limit: int
) -> list[protocol.Message]:
    """The reply, or at most `limit` replies of a server stream."""
    known = protocol.methods()[method]
    reply = protocol.message_class(known.output.full_name)
    serialize = type(request).SerializeToString
    if not known.server_streaming:
        unary = connection.unary.get(method)
        if unary is None:
            unary = connection.channel.unary_unary(f"/{method}", serialize, reply.FromString)
            connection.unary[method] = unary
        return [await unary(request, timeout=deadline_s)]
    stream = connection.channel.unary_stream(f"/{method}", serialize, reply.FromString)(
        request, timeout=deadline_s
    )
    replies: list[protocol.Message] = []
    async for message in stream:
        replies.append(message)
        if len(replies) >= limit:
            stream.cancel()
            break
    return replies


async def upload(
    connection: Connection,
    method: str,
    messages: AsyncIterable[protocol.Message],
    deadline_s: float,
    before_each: Callable[[], None],
) -> protocol.Message:
    """The one reply to `messages`; what they or `before_each` raise goes on as it is."""
    known = protocol.methods()[method]
    request, reply = (protocol.message_class(each.full_name) for each in (known.input, known.output))
    start = connection.channel.stream_unary(f"/{method}", request.SerializeToString, reply.FromString)
    errors: list[Exception] = []
    call = start(_noted(messages, before_each, errors), timeout=deadline_s)
    try:
        answer: protocol.Message = await call
    except (grpc.aio.AioRpcError, asyncio.CancelledError):
        if errors:
            raise errors[0] from None
        raise
    return answer


async def _noted(
    messages: AsyncIterable[protocol.Message], before_each: Callable[[], None], errors: list[Exception]
) -> AsyncIterator[protocol.Message]:
    """The messages of an upload; gRPC only cancels the call when one cannot be had, and this keeps why."""
    try:
        async for message in messages:
            before_each()
            yield message
    except Exception as error:
        errors.append(error)
        raise
