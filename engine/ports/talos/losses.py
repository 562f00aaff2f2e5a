"""Which machines have just been lost, and what a dial told of them a moment ago.

A machine that took its leave or fell silent is asked again at once, by whoever is concerned. Were each of them to wait
as long for it as for any machine, a cluster would look healthy for seconds after its loss. So a machine that was
connected a moment ago has to take a new connection soon, and one dial without an answer speaks for those that follow
within a second: nothing was sent in either. Lives on the loop. Neighbours: `connections` and `watches` tell and ask.
"""

from __future__ import annotations

import asyncio
from typing import Final

from engine.base.errors import Unreachable
from engine.ports.talos.address import Address
from engine.ports.talos.dial import CONNECT_S

SOON_S: Final = 0.6
"""Longer than any network takes there and back; a packet lost on the way costs one look more."""
FRESH_S: Final = 5.0
SHARED_S: Final = 1.0
_NO_ANSWER: Final = frozenset({"ConnectTimeout", "NoRoute"})


class Losses:
    """Losses of the last few seconds, by address."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._lost: dict[Address, float] = {}
        self._silent: dict[Address, tuple[float, Unreachable]] = {}

    def note(self, address: Address) -> None:
        """A connection to this machine has ended that we had not given up."""
        self._forget_old()
        self._lost[address] = self._loop.time()

    def connect_s(self, address: Address) -> float:
        """How long a new connection to it may take."""
        return SOON_S if self._loop.time() - self._lost.get(address, -FRESH_S) < FRESH_S else CONNECT_S

    def failed(self, address: Address, error: Unreachable) -> None:
        """A dial has failed."""
        if error.code in _NO_ANSWER and address in self._lost:
            self._silent[address] = self._loop.time(), error

    def answered(self, address: Address) -> None:
        """A dial has succeeded."""
        self._silent.pop(address, None)
        self._lost.pop(address, None)

    def silence(self, address: Address) -> Unreachable | None:
        """What a dial of the last second has told, if it had no answer: as an error of its own."""
        at, error = self._silent.get(address, (-SHARED_S, None))
        if error is None or self._loop.time() - at >= SHARED_S:
            return None
        return Unreachable(error.message, source=error.source, sent="no", code=error.code)

    def _forget_old(self) -> None:
        now = self._loop.time()
        for address in [each for each, at in self._lost.items() if now - at >= FRESH_S]:
            del self._lost[address]
            self._silent.pop(address, None)
