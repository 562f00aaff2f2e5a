"""What somebody ordered to be done to a call: failing it, losing its reply, killing its caller.

One Meddling accompanies one call from its receipt to the moment when its reply has left. Never
changes what a call does to a machine: it is carried out whole or not at all. Neighbours:
`dispatch` asks here, `faults` and `mutations` keep the orders.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, NoReturn, TypeVar

import grpc.aio

from engine.simulator.faults import Faults
from engine.simulator.front import Peer
from engine.simulator.mutations import Kill, Mutations
from engine.simulator.refusal import Refusal

Item = TypeVar("Item")


class Meddling:
    """The orders that meet one call. Make it when the call has come in, once."""

    def __init__(
        self, faults: Faults, mutations: Mutations, peer: Peer, target: str, method: str, request: Any
    ) -> None:
        self._peer = peer
        self._mutation, self._kill = mutations.receive(target, method, request)
        self._fault = faults.take(peer.machine.address, method)

    async def before(self, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        """Ask this before anything is carried out. Raises the Refusal that was ordered."""
        if self._kills("before"):
            await self._kill_and_hang()
        if self._kill is not None and self._kill.moment == "replied":
            kill = self._kill
            reply_left = self._peer.relay.when_sent
            context.add_done_callback(lambda _: reply_left(lambda: _kill(kill)))  # type: ignore[arg-type]  # a class in the stubs
        if self._fault is not None and not self._fault.lose_reply:
            raise Refusal(self._fault.code, self._fault.message)

    async def after(self, code: str) -> None:
        """Tell this how the call ended, before its reply leaves; does not return when it shall not leave."""
        if self._mutation is not None:
            self._mutation.code = code
        if self._kills("after"):
            await self._kill_and_hang()
        if self._fault is not None and self._fault.lose_reply and code == "OK":
            await self._hang()

    async def through(self, items: AsyncIterator[Item]) -> AsyncIterator[Item]:
        """The items of a stream; its last one stays here if the reply shall not leave."""
        if not self._kills("after"):
            async for item in items:
                yield item
            return
        held: list[Item] = []
        async for item in items:
            if held:
                yield held.pop()
            held.append(item)

    def _kills(self, moment: str) -> bool:
        return self._kill is not None and self._kill.moment == moment

    async def _kill_and_hang(self) -> NoReturn:
        assert self._kill is not None
        _kill(self._kill)
        await self._hang()

    async def _hang(self) -> NoReturn:
        self._peer.relay.close()
        # The end of its connection cancels this call.
        await asyncio.Event().wait()
        raise AssertionError("an event that nobody sets was set")


def _kill(kill: Kill) -> None:
    with suppress(ProcessLookupError):
        os.kill(kill.pid, signal.SIGKILL)
