"""What somebody ordered to happen to the next calls of a kind: they fail, lose their reply, are slow, or their stream is spoilt.

Pure bookkeeping. Neighbours: `control` orders, `meddling` asks at each call.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias, get_args

import grpc

from engine.simulator.streamfaults import StreamFault

Effect: TypeAlias = Literal["fail", "lose-reply", "reset", "slow", "stream"]
EFFECTS: Final[tuple[Effect, ...]] = get_args(Effect)
_FAILURES: Final = frozenset[Effect](("fail", "lose-reply", "reset"))
_SLOW: Final = frozenset[Effect](("slow",))
_STREAM: Final = frozenset[Effect](("stream",))


@dataclass(frozen=True, slots=True)
class Fault:
    """What meets the next `count` calls (below 0: all of them); `machine` and `method` may be `*`.

    `fail` answers with `code` instead of carrying the call out. The others carry it out: `lose-reply`
    then ends the connection in order, `reset` with a TCP reset, `slow` answers after `seconds`, and
    `stream` does to its messages what `stream` says.
    """

    effect: Effect
    machine: str
    method: str
    code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE
    message: str = "ordered failure"
    count: int = 1
    seconds: float = 0.0
    stream: StreamFault | None = None


class Faults:
    """Ordered faults, each used up after `count` calls."""

    def __init__(self) -> None:
        self._ordered: list[Fault] = []

    def order(self, fault: Fault) -> None:
        self._ordered.append(fault)

    def clear(self) -> None:
        self._ordered.clear()

    def delay(self, machine: str, method: str) -> float:
        """How many seconds the reply to this call is held back; counted down."""
        found = self._take(machine, method, _SLOW)
        return found.seconds if found else 0.0

    def take(self, machine: str, method: str) -> Fault | None:
        """The failure that meets this call, counted down."""
        return self._take(machine, method, _FAILURES)

    def stream(self, machine: str, method: str) -> StreamFault | None:
        """What is done to the messages of this call; counted down."""
        found = self._take(machine, method, _STREAM)
        return found.stream if found else None

    def _take(self, machine: str, method: str, effects: frozenset[Effect]) -> Fault | None:
        for index, fault in enumerate(self._ordered):
            if fault.effect in effects and fault.machine in ("*", machine) and fault.method in ("*", method):
                left = replace(fault, count=fault.count - 1)
                self._ordered[index : index + 1] = [left] if left.count else []
                return fault
        return None
