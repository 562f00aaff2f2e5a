"""What somebody ordered to be done to a call: failing it, slowing or losing its reply, killing its caller.

One Meddling accompanies one call from its receipt to the moment when its reply has left. Never
changes what a call does to a machine: it is carried out whole or not at all. Neighbours:
`dispatch` asks here, `faults` and `mutations` keep the orders.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, NoReturn, TypeVar

import grpc
import grpc.aio

from engine.simulator.connections import Peer
from engine.simulator.faults import Faults
from engine.simulator.machine import Machine
from engine.simulator.mutations import Mutations
from engine.simulator.refusal import Refusal
from engine.simulator.streamfaults import spoilt

Item = TypeVar("Item")
_TO_THE_SOCKET_S: Final = 0.05
"""What was handed to gRPC is on its socket by then."""


class Meddling:
    """The orders that meet one call. Make it when the call has come in, once."""

    def __init__(
        self, faults: Faults, mutations: Mutations, peer: Peer, target: str, method: str, request: Any
    ) -> None:
        self._peer = peer
        self._mutation, self._kill = mutations.receive(target, method, request, _etcd(peer.machine))
        self._fault = faults.take(peer.machine.address, method)
        self._delay = faults.delay(peer.machine.address, method)
        self._stream = faults.stream(peer.machine.address, method)

    async def before(self, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        """Ask this before anything is carried out. Raises the Refusal that was ordered."""
        if self._kills("before"):
            await self._kill_and_hang()
        if self._kill is not None and self._kill.moment == "replied":
            kill, reply_left = self._kill, self._peer.relay.when_sent
            context.add_done_callback(lambda _: reply_left(kill.carry_out))  # type: ignore[arg-type]  # a class in the stubs
        if self._fault is not None and self._fault.effect == "fail":
            raise Refusal(self._fault.code, self._fault.message)

    async def after(self, code: str) -> None:
        """Tell this how the call ended, before its reply leaves; does not return when it shall not leave."""
        if self._mutation is not None:
            self._mutation.code = code
        if self._kills("after"):
            await self._kill_and_hang()
        if self._loses(code):
            await self._hang()
        if self._delay:
            await asyncio.sleep(self._delay)

    async def through(self, items: AsyncIterator[Item]) -> AsyncIterator[Item]:
        """The items of a stream, the first one as late as ordered; the last one stays here if the reply shall not leave."""
        if self._delay:
            await asyncio.sleep(self._delay)
            self._delay = 0.0
        if self._stream is not None:
            items = spoilt(items, self._stream, self._cut)
        held: list[Item] = []
        last_stays = self._kills("after") or self._loses("OK")
        try:
            async for item in items:
                if not last_stays:
                    yield item
                    continue
                if held:
                    yield held.pop()
                held.append(item)
        except (asyncio.CancelledError, GeneratorExit):
            if self._mutation is not None:
                self._mutation.code = grpc.StatusCode.CANCELLED.name
            raise

    def upload(self, messages: AsyncIterator[Item]) -> AsyncIterator[Item]:
        """The messages of a client stream, as they are let through to the machine."""
        return messages if self._stream is None else spoilt(messages, self._stream, self._cut)

    async def _cut(self) -> NoReturn:
        """End the connection once what was let through has left."""
        left = asyncio.Event()
        await asyncio.sleep(_TO_THE_SOCKET_S)
        self._peer.relay.when_sent(left.set)
        await left.wait()
        await self._hang()

    def _kills(self, moment: str) -> bool:
        return self._kill is not None and self._kill.moment == moment

    def _loses(self, code: str) -> bool:
        return code == "OK" and self._fault is not None and self._fault.effect in ("lose-reply", "reset")

    async def _kill_and_hang(self) -> NoReturn:
        assert self._kill is not None
        self._kill.carry_out()
        await self._hang()

    async def _hang(self) -> NoReturn:
        if self._fault is not None and self._fault.effect == "reset":
            self._peer.relay.reset()
        else:
            self._peer.relay.end()
        # The end of its connection cancels this call.
        await asyncio.Event().wait()
        raise AssertionError("an event that nobody sets was set")


def _etcd(machine: Machine) -> Mapping[str, int] | None:
    """Voting members, those that run, and whether this machine's is one of these; None without a member."""
    found = machine.cluster.etcd_of(machine) if machine.cluster is not None else None
    if found is None or machine.cluster is None:
        return None
    known, member = found
    voters = {each.id for each in known.members if not each.learner}
    running = machine.cluster.running(known.key) & voters
    return {"voters": len(voters), "running": len(running), "own": int(member.id in running)}
