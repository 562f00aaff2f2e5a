"""What a handler gets and how the tables of handlers are typed. No behaviour but small shapes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

import grpc

from engine.simulator.access import ADMIN
from engine.simulator.machine import Machine
from engine.simulator.refusal import Refusal

Value: TypeAlias = Mapping[str, Any]
Unary: TypeAlias = Callable[["Call"], Awaitable[Value]]
Stream: TypeAlias = Callable[["Call"], AsyncIterator[Value]]
Handler: TypeAlias = Unary | Stream


@dataclass(frozen=True, slots=True)
class Call:
    """One call on one machine; `request` is the protobuf message (the iterator of a client stream)."""

    machine: Machine
    roles: frozenset[str]
    request: Any

    @property
    def admin(self) -> bool:
        return ADMIN in self.roles


def one(value: Value | None = None) -> Value:
    """The reply of the old-style services: a list of one answer without metadata (talos-api 1.1)."""
    return {"messages": [value or {}]}


def timestamp(seconds: float) -> str:
    """Seconds since the epoch as the protocol package writes times."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def control_plane_only(call: Call, name: str) -> None:
    """Refuse as Talos does on a worker and before the machine type is known."""
    machine = call.machine
    if machine.config is None:
        text = f"machine type is not set, cannot use {name} API"
        raise Refusal(grpc.StatusCode.UNIMPLEMENTED, text)
    if not machine.control_plane:
        raise Refusal(grpc.StatusCode.UNIMPLEMENTED, f"{name} is only available on control plane nodes")
