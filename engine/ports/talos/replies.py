"""What machines reply: asked over a watch, and the errors that hide inside a reply.

Neighbours: `client` calls it, `watching` carries the bytes, `failures` makes the errors.
"""

from __future__ import annotations

import asyncio
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from engine import protocol
from engine.base.errors import OutcomeUnknown, RemoteError
from engine.ports.talos.failures import of_node

if TYPE_CHECKING:
    from engine.ports.talos.watching import Watching

_WITH_ITS_STATUS: Final = 2
"""A unary call has one reply: whoever waits for more waits for its end."""


async def ask(
    watching: Watching, source: str, method: str, request: protocol.Message, until: float, limit: int
) -> list[protocol.Message]:
    """The replies of a reading method over the connection that a machine is watched over."""
    known = protocol.methods()[method]
    try:
        async with asyncio.timeout_at(until):
            found = await watching.ask(
                method, request.SerializeToString(), limit if known.server_streaming else _WITH_ITS_STATUS
            )
    except TimeoutError as error:
        message = "no answer in time"
        raise OutcomeUnknown(message, source=source, sent="unknown", code="DEADLINE_EXCEEDED") from error
    if not found and not known.server_streaming:
        raise RemoteError("an answer without a message", source=source, sent="yes", code="INTERNAL")
    take = protocol.message_class(known.output.full_name).FromString
    replies = [take(each) for each in found]
    for reply in replies:
        check_metadata(reply, source, method)
    return replies


def check_metadata(reply: Any, source: str, method: str) -> None:
    """Errors of a fan-out hide inside an OK reply; source: common.Metadata of the Talos API."""
    many, told = _metadata_of(reply.DESCRIPTOR)
    if not told:
        return
    for part in reply.messages if many else (reply,):
        if part.metadata.error:
            raise of_node(part.metadata.status.code, part.metadata.error, source, method)


@lru_cache(maxsize=512)
def _metadata_of(descriptor: Any) -> tuple[bool, bool]:
    """Whether a reply has a part for each node, and whether a part has metadata."""
    fields = descriptor.fields_by_name
    many = "messages" in fields
    part = fields["messages"].message_type if many else descriptor
    return many, part is not None and "metadata" in part.fields_by_name
