"""The requests that change objects, in the order in which they came, and the order to kill a caller at one of them.

A request is noted by what it is aimed at, never by what it says. Refused ones count too; dry runs, reviews
and requests for kinds that are not served do not. Pure bookkeeping. Neighbours: `control` orders and
lists, `meddling` notes each request.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from engine.base.kills import Kill, KillOrder, Moment

_MOST_KEPT: Final = 10_000


@dataclass(frozen=True, slots=True)
class Aim:
    """What a request wants to do to what; `name` is empty for a collection, and for a new object without one."""

    verb: str
    kind: str
    namespace: str
    name: str
    subresource: str


@dataclass(slots=True)
class Mutation:
    """One request: `code` (HTTP) is 0 while it is under way or was never carried out.

    `revision` is the newest resourceVersion of the whole store afterwards.
    """

    number: int
    time: float
    aim: Aim
    code: int = 0
    revision: int = 0
    killed: Moment | None = None


class Mutations:
    """The mutating requests since the start or the last order, numbered from 1; the newest ten thousand are kept."""

    def __init__(self) -> None:
        self._seen: deque[Mutation] = deque(maxlen=_MOST_KEPT)
        self._count = 0
        self._order = KillOrder()

    def order(self, kill: Kill | None) -> None:
        """Begin to count anew, with this order and no other one (None: only count)."""
        self._seen.clear()
        self._count = 0
        self._order.give(kill)

    def receive(self, aim: Aim) -> tuple[Mutation, Kill | None]:
        """Note a request that has come in; the kill that meets it, used up by that."""
        self._count += 1
        mutation = Mutation(self._count, time.time(), aim)
        self._seen.append(mutation)
        kill = self._order.meeting(mutation.number)
        if kill is not None:
            mutation.killed = kill.moment
        return mutation, kill

    def list(self) -> list[Mapping[str, Any]]:
        """The requests as the control socket shows them."""
        return [
            {
                "number": each.number,
                "time": round(each.time, 3),
                **asdict(each.aim),
                "code": each.code or None,
                "revision": each.revision or None,
                "killed": each.killed,
            }
            for each in self._seen
        ]

    @property
    def pending(self) -> bool:
        """Whether an ordered kill still waits for its request."""
        return self._order.is_pending
