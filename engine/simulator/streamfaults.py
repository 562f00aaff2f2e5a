"""What somebody ordered to happen to the bytes of a stream: cut, ended early, silent, slow, corrupt, short at its end.

Counts the bytes in the field `bytes` of its messages, in both directions alike. Never keeps more than two
messages. Neighbours: `faults` keeps the orders, `meddling` leads streams through here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, NoReturn, TypeAlias, get_args

How: TypeAlias = Literal["cut", "end", "silent", "slow", "corrupt", "short"]
HOWS: Final[tuple[How, ...]] = get_args(How)


@dataclass(frozen=True, slots=True)
class StreamFault:
    """`cut`: the connection ends after `bytes`; `end`: the stream does, as if it were whole; `silent`: nothing more comes.

    `corrupt`: the lowest bit of the byte at `bytes` is flipped; `short`: the last message lacks its last `bytes`;
    `slow`: `rate` bytes a second.
    """

    how: How
    bytes: int = 0
    rate: float = 0.0


def stream_fault(how: str, count: int, rate: float) -> StreamFault:
    """The order that a request of the control socket gives; raises ValueError when it makes no sense."""
    if how not in HOWS:
        raise ValueError(f"how {how!r}: one of {', '.join(HOWS)}")
    if how == "slow" and rate <= 0:
        raise ValueError(f"rate {rate}: bytes a second, more than 0")
    if count < 0:
        raise ValueError(f"bytes {count}: 0 or more")
    return StreamFault(how, count, rate)


async def spoilt(
    messages: AsyncIterator[Any], fault: StreamFault, cut: Callable[[], Awaitable[NoReturn]]
) -> AsyncIterator[Any]:
    """The messages as the order lets them through; `cut` ends the connection and does not return."""
    passed, held = 0, None
    async for message in messages:
        size = len(message.bytes)
        if fault.how in ("cut", "end", "silent") and passed + size >= fault.bytes:
            message.bytes = message.bytes[: fault.bytes - passed]
            if message.bytes:
                yield message
            await _stopped(fault, cut)
            return
        if fault.how == "corrupt" and passed <= fault.bytes < passed + size:
            message.bytes = _flipped(message.bytes, fault.bytes - passed)
        passed += size
        if fault.how == "slow":
            await asyncio.sleep(size / fault.rate)
        if fault.how != "short":
            yield message
            continue
        if held is not None:
            yield held
        held = message
    if held is not None:
        held.bytes = held.bytes[: max(0, len(held.bytes) - fault.bytes)]
        yield held


async def _stopped(fault: StreamFault, cut: Callable[[], Awaitable[NoReturn]]) -> None:
    if fault.how == "cut":
        await cut()
    if fault.how == "silent":
        await asyncio.Event().wait()


def _flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
