"""The control socket of the embedded API: which mutating requests came, and the order to kill a caller at one.

    {"op": "mutations"}   the mutating requests since the start or the last count or kill
    {"op": "count"}       count them anew, and kill nobody
    {"op": "kill", "pid": P, "call": N, "moment": "before" | "after" | "replied"}   SIGKILL at the N-th one

Shows no contents of objects. Neighbours: `mutations` keeps the books, `meddling` carries out, `server` starts it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.base.control import ControlSocket, Order
from engine.base.kills import kill_in
from engine.standalone.mutations import Mutations


def control_socket(path: Path, mutations: Mutations) -> ControlSocket:
    """The socket at `path`; its replies are as the simulator's."""

    async def carry_out(op: str, request: Order) -> Mapping[str, Any]:
        if op == "mutations":
            return {"pending": mutations.pending, "mutations": mutations.list()}
        if op == "count":
            mutations.order(None)
        elif op == "kill":
            mutations.order(kill_in(request))
        else:
            raise ValueError(f"op {op!r}: one of count, kill, mutations")
        return {}

    return ControlSocket(path, carry_out)
