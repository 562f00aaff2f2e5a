"""Failures that somebody ordered: the next calls of a kind fail, or lose their reply.

Pure bookkeeping. Neighbours: `control` orders, `dispatch` asks at each call.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import grpc


@dataclass(frozen=True, slots=True)
class Fault:
    """`machine` and `method` may be `*`. With `lose_reply` the call is carried out and the connection then cut."""

    machine: str
    method: str
    code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE
    message: str = "ordered failure"
    count: int = 1
    lose_reply: bool = False


class Faults:
    """Ordered faults, each used up after `count` calls (below 0: never)."""

    def __init__(self) -> None:
        self._ordered: list[Fault] = []

    def order(self, fault: Fault) -> None:
        self._ordered.append(fault)

    def clear(self) -> None:
        self._ordered.clear()

    def take(self, machine: str, method: str) -> Fault | None:
        """The fault that meets this call, counted down."""
        for index, fault in enumerate(self._ordered):
            if fault.machine in ("*", machine) and fault.method in ("*", method):
                left = replace(fault, count=fault.count - 1)
                self._ordered[index : index + 1] = [left] if left.count else []
                return fault
        return None
