"""The order to kill a process at one of its calls: which process, which call, at which moment of it.

What a test kills the engine with at every point that can be told from outside. Whoever serves the calls
counts them; here is only what an order says, whether it makes sense, and the SIGKILL. Neighbours: the
bookkeeping of the simulator and of the embedded API.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, get_args

Moment: TypeAlias = Literal["before", "after", "replied"]
"""Before the call is carried out (and then it is not), after it and in place of its reply, or once that has left."""
MOMENTS: Final[tuple[Moment, ...]] = get_args(Moment)


@dataclass(frozen=True, slots=True)
class Kill:
    """Kill process `pid` at the `call`-th mutating call from now, at this moment of it."""

    pid: int
    call: int
    moment: Moment

    def carry_out(self) -> None:
        """SIGKILL; nothing happens when the process is gone."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)


class KillOrder:
    """At most one order, until the call that it is for has come."""

    def __init__(self) -> None:
        self._kill: Kill | None = None

    @property
    def is_pending(self) -> bool:
        """Whether an ordered kill still waits for its call."""
        return self._kill is not None

    def give(self, kill: Kill | None) -> None:
        """Give this order in place of any other one; None: none."""
        self._kill = kill

    def meeting(self, number: int) -> Kill | None:
        """The kill that meets the call of this number, used up by that."""
        if self._kill is None or self._kill.call != number:
            return None
        kill, self._kill = self._kill, None
        return kill


def kill_in(request: Mapping[str, Any]) -> Kill:
    """The order in {"pid": P, "call": N, "moment": M}; `call` is 1 when absent.

    Raises KeyError, ValueError or OSError when it makes no sense or there is no such process.
    """
    pid, call, moment = int(request["pid"]), int(request.get("call", 1)), request["moment"]
    if pid <= 1 or pid == os.getpid():
        raise ValueError(f"pid {pid}: only another process can be killed")
    os.kill(pid, 0)
    if call < 1:
        raise ValueError(f"call {call}: calls are counted from 1")
    if moment not in MOMENTS:
        raise ValueError(f"moment {moment!r}: one of {', '.join(MOMENTS)}")
    return Kill(pid, call, moment)
