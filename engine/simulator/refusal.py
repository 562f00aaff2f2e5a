"""The way a handler says no: a gRPC code and Talos's own words. Never carries a secret."""

from __future__ import annotations

import grpc

from engine.base.errors import EngineError


class Refusal(EngineError):
    """A call is answered with an error status."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def unknown(message: str) -> Refusal:
    """What a plain Go error becomes on the wire."""
    return Refusal(grpc.StatusCode.UNKNOWN, message)


def invalid(message: str) -> Refusal:
    """INVALID_ARGUMENT."""
    return Refusal(grpc.StatusCode.INVALID_ARGUMENT, message)


def precondition(message: str) -> Refusal:
    """FAILED_PRECONDITION."""
    return Refusal(grpc.StatusCode.FAILED_PRECONDITION, message)
