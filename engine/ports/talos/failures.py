"""Why a node was not reached or a call failed, in words that a person can act on.

A failed dial is told apart by its cause and nothing was sent. A failed call takes its code from the
gRPC status, and `sent` from what the relay saw: the status text alone cannot tell. Pure. Source of
the TLS alerts: RFC 8446 section 6. Neighbours: `dial` and `client`.
"""

from __future__ import annotations

import errno
import ssl
from collections.abc import Mapping

import grpc

from engine.base.errors import (
    AlreadyExists,
    Conflict,
    Denied,
    Missing,
    OutcomeUnknown,
    Refused,
    RemoteError,
    Sent,
    Throttled,
    Unreachable,
)
from engine.ports.talos.grpcstatus import Status

_ERRNO: Mapping[int, tuple[str, str]] = {
    errno.ECONNREFUSED: ("ConnectionRefused", "nothing listens there; the machine is off or still booting"),
    errno.EHOSTUNREACH: ("NoRoute", "there is no route to the machine"),
    errno.ENETUNREACH: ("NoRoute", "there is no route to the machine"),
    errno.ECONNRESET: ("ConnectionReset", "the machine cut the connection"),
    errno.EPIPE: ("ConnectionReset", "the machine cut the connection"),
    errno.ETIMEDOUT: ("ConnectTimeout", "no answer to the connection"),
}

_ALERTS: Mapping[str, tuple[str, str]] = {
    "UNKNOWN_CA": ("ClientCertificateRefused", "the machine does not know the authority of our certificate"),
    "BAD_CERTIFICATE": ("ClientCertificateRefused", "the machine refuses our certificate"),
    "CERTIFICATE_REQUIRED": (
        "ClientCertificateRequired",
        "the machine wants a client certificate: it is configured",
    ),
    "CERTIFICATE_EXPIRED": ("ClientCertificateExpired", "the machine says that our certificate has expired"),
    "CERTIFICATE_UNKNOWN": ("ClientCertificateRefused", "the machine refuses our certificate"),
    "ACCESS_DENIED": ("ClientCertificateRefused", "the machine refuses our certificate"),
}

# X509_V_ERR_* of OpenSSL.
_EXPIRED = frozenset({9, 10})
_WRONG_NAME = frozenset({62, 64})


def of_dial(error: Exception, source: str) -> Unreachable:
    """The cause of a failed dial."""
    code, message = _cause(error)
    return Unreachable(message, source=source, sent="no", code=code)


def _cause(error: Exception) -> tuple[str, str]:
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in _EXPIRED:
            return (
                "CertificateExpired",
                f"the machine's certificate is not valid now ({error.verify_message})",
            )
        if error.verify_code in _WRONG_NAME:
            return (
                "CertificateNameMismatch",
                f"the machine's certificate is for another address ({error.verify_message})",
            )
        return (
            "CertificateUnknown",
            "the machine's certificate is not of this cluster (maintenance mode, or another cluster's)",
        )
    if isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return _ERRNO[errno.ECONNRESET]
    if isinstance(error, ssl.SSLError):
        text = str(error)
        for word, cause in _ALERTS.items():
            if word in text:
                return cause
        return "HandshakeFailed", f"the TLS handshake failed ({error.reason or text})"
    if isinstance(error, ConnectionResetError):
        return _ERRNO[errno.ECONNRESET]
    if isinstance(error, OSError) and error.errno is not None and error.errno in _ERRNO:
        return _ERRNO[error.errno]
    return "Unreachable", str(error) or type(error).__name__


_BY_CODE: Mapping[grpc.StatusCode, type[RemoteError]] = {
    grpc.StatusCode.NOT_FOUND: Missing,
    grpc.StatusCode.ALREADY_EXISTS: AlreadyExists,
    grpc.StatusCode.PERMISSION_DENIED: Denied,
    grpc.StatusCode.UNAUTHENTICATED: Denied,
    grpc.StatusCode.INVALID_ARGUMENT: Refused,
    grpc.StatusCode.FAILED_PRECONDITION: Refused,
    grpc.StatusCode.UNIMPLEMENTED: Refused,
    grpc.StatusCode.OUT_OF_RANGE: Refused,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Throttled,
    grpc.StatusCode.ABORTED: Conflict,
}

_NO_ANSWER = frozenset(
    {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED}
)

_FROM_CORE = "Internal error from Core"
"""What grpcio says when the connection ends under an upload: no answer of the node."""


def of_call(error: grpc.aio.AioRpcError, source: str, operation: str, *, headers_sent: bool) -> RemoteError:
    """The error of a call that was begun; `headers_sent`: the relay passed a request up since."""
    code = error.code()
    text = error.details() or code.name
    if code in _NO_ANSWER or (code is grpc.StatusCode.INTERNAL and text == _FROM_CORE):
        sent: Sent = "unknown" if headers_sent else "no"
        kind: type[RemoteError] = OutcomeUnknown if headers_sent else Unreachable
        return kind(text, source=source, operation=operation, sent=sent, code=code.name)
    return _by_code(code)(text, source=source, operation=operation, sent="yes", code=code.name)


def of_stream(status: Status, source: str, operation: str, *, refused: bool) -> RemoteError:
    """The error of a stream that did not end with OK. `refused`: the node said that it did not begin with it."""
    code = _code(status.number)
    text = status.message or code.name
    if code in _NO_ANSWER:
        sent: Sent = "no" if refused else "unknown"
        kind: type[RemoteError] = Unreachable if refused else OutcomeUnknown
        return kind(text, source=source, operation=operation, sent=sent, code=code.name)
    return _by_code(code)(text, source=source, operation=operation, sent="yes", code=code.name)


def of_node(number: int, message: str, source: str, operation: str) -> RemoteError:
    """The error that one node reported inside an OK reply; `number` is its gRPC status, 0 when it gave none."""
    code = _code(number or 2)
    return _by_code(code)(message, source=source, operation=operation, sent="yes", code=code.name)


def _code(number: int) -> grpc.StatusCode:
    return next((code for code in grpc.StatusCode if code.value[0] == number), grpc.StatusCode.UNKNOWN)


def _by_code(code: grpc.StatusCode) -> type[RemoteError]:
    return _BY_CODE.get(code, RemoteError)
