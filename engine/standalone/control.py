"""The control socket of the embedded API: which mutating requests came, and the order to kill a caller at one.

    {"op": "mutations"}   the mutating requests since the start or the last count or kill
    {"op": "count"}       count them anew, and kill nobody
    {"op": "kill", "pid": P, "call": N, "moment": "before" | "after" | "replied"}   SIGKILL at the N-th one
    {"op": "lag", "seconds": N}   watches tell of every change so much later, from now on; 0 ends that

Shows no contents of objects. Neighbours: `mutations` keeps the books, `meddling` carries out, `server` starts it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.base.control import ControlSocket, Order
from engine.base.kills import kill_in
from engine.standalone.mutations import Mutations
from engine.standalone.watching import Bell

_LONGEST_LAG_S = 60.0


def control_socket(path: Path, mutations: Mutations, bell: Bell) -> ControlSocket:
    """The socket at `path`; its replies are as the simulator's."""

    async def carry_out(op: str, request: Order) -> Mapping[str, Any]:
        if op == "mutations":
            return {"pending": mutations.pending, "mutations": mutations.list()}
        if op == "count":
            mutations.order(None)
        elif op == "kill":
            mutations.order(kill_in(request))
        elif op == "lag":
            bell.lag_s = _seconds(request["seconds"])
        else:
            raise ValueError(f"op {op!r}: one of count, kill, lag, mutations")
        return {}

    return ControlSocket(path, carry_out)


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LONGEST_LAG_S:
        raise ValueError(f"seconds {value!r}: a number from 0 to {_LONGEST_LAG_S:g}")
    return float(value)
