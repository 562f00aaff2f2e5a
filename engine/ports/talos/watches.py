"""Keep connections open for what machines tell by themselves: one a machine, opened again whenever it ends.

At rest a watch is its connection and nothing else: no task, no timer, no ping. What ends is opened again after a
growing, drawn delay; all of them together begin so many handshakes a second, however many machines come back at
once, and nobody waits while a machine keeps silent. Whoever wants them says so from any thread; everything
else happens on the loop. Neighbours: `watching` is one connection, `engine.streams` wants and is told.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Hashable
from typing import Final

from engine.base.errors import Denied, Missing, Refused, RemoteError, Unreachable
from engine.ports.talos.address import Address
from engine.ports.talos.connections import Connections
from engine.ports.talos.dial import dial
from engine.ports.talos.identity import Identity
from engine.ports.talos.watched import Told, Wanted
from engine.ports.talos.watching import Watching

HANDSHAKES_A_SECOND: Final = 100
"""Each costs us about 2 ms of CPU: a fifth of a core at most."""
FIRST_DELAY_S: Final = 0.25
LONGEST_DELAY_S: Final = 5.0
REFUSED_DELAY_S: Final = 300.0
ANSWER_S: Final = 10.0
STEADY_S: Final = 10.0
"""What was open for so long begins with the shortest delay again."""
NUDGED_S: Final = 1.0


Count = Callable[[str, str, float, RemoteError | None], None]
"""Method, address, when it began (time of the loop) and how opening a connection's streams ended."""


class Watches:
    """The watches by token."""

    def __init__(self, connections: Connections, count: Count) -> None:
        self.told: Told | None = None
        self._connections = connections
        self._count = count
        self._loop = asyncio.get_running_loop()
        self._kept: dict[Hashable, _Kept] = {}
        self._at: dict[Address, _Kept] = {}
        self._dialling: set[asyncio.Task[None]] = set()
        self._free_at = 0.0

    def tell(self, told: Told) -> None:
        """Have somebody told, before anything is wanted."""
        self.told = told

    def keep(self, token: Hashable, wanted: Wanted | None) -> None:
        """Watch this from now on, None: nothing more. Cheap when it is what was wanted before; any thread."""
        kept = self._kept.get(token)
        if kept is None and wanted is None:
            return
        if kept is None or kept.wanted != wanted or not kept.is_open:
            self._loop.call_soon_threadsafe(self._keep, token, wanted)

    def is_open(self, token: Hashable) -> bool:
        """Whether the machine's changes are being told at the moment; any thread."""
        kept = self._kept.get(token)
        return kept is not None and kept.is_open

    def connection(self, address: Address, identity: Identity | None) -> Watching | None:
        """An open connection to this machine with this identity, over which it can be asked; on the loop."""
        kept = self._at.get(address)
        if kept is None or not kept.is_open or kept.wanted.identity != identity:
            return None
        return kept.connection if kept.connection is not None and kept.connection.takes_calls else None

    def is_watched(self, address: Address) -> bool:
        """Whether a machine's changes are being told at the moment; on the loop."""
        kept = self._at.get(address)
        return kept is not None and kept.is_open

    def tokens(self) -> list[Hashable]:
        """Everything that is watched or waits to be; any thread."""
        return list(self._kept)

    def close(self) -> None:
        """End everything."""
        for kept in self._kept.values():
            kept.rest()
        self._kept.clear()
        for task in list(self._dialling):
            task.cancel()

    def _keep(self, token: Hashable, wanted: Wanted | None) -> None:
        kept = self._kept.get(token)
        if kept is not None and kept.wanted == wanted:
            kept.nudge()
            return
        if kept is not None:
            kept.rest()
            del self._kept[token]
            if self._at.get(kept.wanted.address) is kept:
                del self._at[kept.wanted.address]
        if wanted is not None:
            kept = self._kept[token] = self._at[wanted.address] = _Kept(self, token, wanted)
            self.begin(kept)

    def begin(self, kept: _Kept) -> None:
        """Dial, once it is this one's turn."""
        now = self._loop.time()
        at = max(now, self._free_at)
        self._free_at = at + 1 / HANDSHAKES_A_SECOND
        kept.timer = self._loop.call_at(at, self._dial, kept)

    def _dial(self, kept: _Kept) -> None:
        kept.timer = None
        task = kept.dialling = self._loop.create_task(self._open(kept))
        self._dialling.add(task)
        task.add_done_callback(self._dialling.discard)

    async def _open(self, kept: _Kept) -> None:
        wanted, losses = kept.wanted, self._connections.losses
        kept.began = self._loop.time()
        try:
            node = await dial(wanted.address, wanted.identity, connect_s=losses.connect_s(wanted.address))
        except Unreachable as error:
            kept.dialling = None
            losses.failed(wanted.address, error)
            kept.ended(error)
            return
        kept.dialling = None
        losses.answered(wanted.address)
        kept.timer = self._loop.call_later(ANSWER_S, kept.unanswered)
        kept.connection = Watching(node, str(wanted.address), wanted.streams, kept)

    def counted(self, kept: _Kept, error: RemoteError | None) -> None:
        """Count what came of opening one watch."""
        for stream in kept.wanted.streams if error is None else kept.wanted.streams[:1]:
            self._count(stream.method, str(kept.wanted.address), kept.began, error)

    def lost(self, kept: _Kept, error: RemoteError) -> None:
        """An open watch has ended: other connections to that machine are not to be trusted either."""
        self._connections.lost(kept.wanted.address)
        if self.told is not None:
            self.told.ended(kept.token, error)

    def later(self, kept: _Kept, delay_s: float) -> None:
        """Open it again after about so long."""
        drawn = 0.5 + random.random()  # noqa: S311 - spreads machines, hides nothing
        kept.timer = self._loop.call_later(delay_s * drawn, self.begin, kept)


class _Kept:
    """One watch and how it stands; what its connection tells comes in here."""

    __slots__ = (
        "began",
        "connection",
        "dialling",
        "failures",
        "is_open",
        "owner",
        "timer",
        "token",
        "wanted",
    )

    def __init__(self, owner: Watches, token: Hashable, wanted: Wanted) -> None:
        self.owner = owner
        self.token = token
        self.wanted = wanted
        self.connection: Watching | None = None
        self.dialling: asyncio.Task[None] | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.failures = 0
        self.began = 0.0
        self.is_open = False

    def told(self, message: memoryview) -> bool:
        """A change on the machine."""
        return self.owner.told is None or self.owner.told.message(self.token, message)

    def answered(self) -> None:
        """All streams are open."""
        self._cancel()
        self.is_open = True
        self.owner.counted(self, None)
        self.began = asyncio.get_running_loop().time()
        if self.owner.told is not None:
            self.owner.told.opened(self.token)

    def refused(self, stream: int, error: RemoteError) -> None:
        """One stream is not served; the others go on."""
        if self.owner.told is not None:
            self.owner.told.refused(self.token, stream, error)

    def unanswered(self) -> None:
        """The machine took the connection and says nothing."""
        if self.connection is not None:
            self.connection.close()
        message = f"no stream is open after {ANSWER_S:g} s"
        self.ended(
            Unreachable(message, source=str(self.wanted.address), sent="unknown", code="DeadlineExceeded")
        )

    def ended(self, error: RemoteError) -> None:
        """The connection is gone, or could not be had."""
        self._cancel()
        was_open, self.is_open, self.connection = self.is_open, False, None
        if was_open:
            lasted_s = asyncio.get_running_loop().time() - self.began
            self.failures = 0 if lasted_s >= STEADY_S else self.failures
            self.owner.lost(self, error)
        else:
            self.owner.counted(self, error)
        if isinstance(error, Denied | Refused | Missing):
            self.owner.later(self, REFUSED_DELAY_S)
            return
        self.owner.later(self, min(LONGEST_DELAY_S, FIRST_DELAY_S * 2**self.failures))
        self.failures = min(self.failures + 1, 10)

    def nudge(self) -> None:
        """Somebody has just reached the machine: wait no longer than a moment."""
        timer = self.timer
        loop = asyncio.get_running_loop()
        if self.connection is None and timer is not None and self.failures > 0:
            if timer.when() > loop.time() + LONGEST_DELAY_S * 2:
                return  # refused for good
            if timer.when() > loop.time() + NUDGED_S:
                timer.cancel()
                self.timer = loop.call_later(NUDGED_S, self.owner.begin, self)

    def rest(self) -> None:
        """Nobody wants it any more."""
        self._cancel()
        if self.dialling is not None:
            self.dialling.cancel()
        if self.connection is not None:
            self.connection.close()

    def _cancel(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
