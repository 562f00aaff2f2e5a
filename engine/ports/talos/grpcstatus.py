"""The status of a gRPC call, as it is read from headers, trailers and resets.

Pure. Sources: gRPC's statuscodes, PROTOCOL-HTTP2 (Status-Message is percent-encoded; which reset means
which status) and http-grpc-status-mapping (what a proxy's answer means). Neighbours: `http2` reads
frames, `failures` makes errors of a Status.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

OK, CANCELLED, UNKNOWN = 0, 1, 2
PERMISSION_DENIED, RESOURCE_EXHAUSTED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, UNAUTHENTICATED = (
    7,
    8,
    12,
    13,
    14,
    16,
)

LASTING: Final = frozenset({3, 5, 9, 11, PERMISSION_DENIED, UNIMPLEMENTED, UNAUTHENTICATED})
"""Whoever asks the same again is told the same: it is what was asked for that is wrong, not the moment."""

_BY_HTTP: Final = {
    400: INTERNAL,
    401: UNAUTHENTICATED,
    403: PERMISSION_DENIED,
    404: UNIMPLEMENTED,
    429: UNAVAILABLE,
    502: UNAVAILABLE,
    503: UNAVAILABLE,
    504: UNAVAILABLE,
}
_BY_RESET: Final = {7: UNAVAILABLE, 8: CANCELLED, 11: RESOURCE_EXHAUSTED, 12: PERMISSION_DENIED}
_ESCAPE: Final = re.compile(rb"%([0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class Status:
    """A gRPC status number and the text that came with it."""

    number: int
    message: str = ""

    @property
    def is_ok(self) -> bool:
        return self.number == OK

    @classmethod
    def unknown(cls, what: str) -> Self:
        """The other side has not said how it ended."""
        return cls(UNKNOWN, what)

    @classmethod
    def internal(cls, what: str) -> Self:
        """The other side does not keep to the protocol."""
        return cls(INTERNAL, what)

    @classmethod
    def unavailable(cls, what: str) -> Self:
        """The call was cut off."""
        return cls(UNAVAILABLE, what)

    @classmethod
    def exhausted(cls, what: str) -> Self:
        """More came than is taken."""
        return cls(RESOURCE_EXHAUSTED, what)


def of_headers(fields: Mapping[str, str], *, first: bool, last: bool) -> Status | None:
    """The status that a header block ends the call with; None when the call goes on.

    `first`: nothing came before it; `last`: nothing comes after it.
    """
    if "grpc-status" in fields and last:
        return _of_trailers(fields)
    if first:
        code = fields.get(":status", "")
        if code != "200":
            number = _BY_HTTP.get(int(code), UNKNOWN) if code.isdecimal() else UNKNOWN
            return Status(number, f"the answer is HTTP {code or 'without a status'}")
        kind = fields.get("content-type", "")
        if not kind.startswith("application/grpc"):
            return Status(UNKNOWN, f"the answer is {kind or 'of no type'}, not gRPC")
    if last:
        return Status.unknown("the answer ends without a status")
    return None if first else Status.internal("headers in the middle of the messages")


def of_reset(code: int) -> Status:
    """The status that an RST_STREAM of this error code stands for."""
    return Status(_BY_RESET.get(code, INTERNAL), f"the machine reset the stream (HTTP/2 error {code})")


def _of_trailers(fields: Mapping[str, str]) -> Status:
    number = fields["grpc-status"]
    if not number.isdecimal() or len(number) > 3:
        return Status(UNKNOWN, f"the status {number!r} is no number")
    return Status(int(number), _decoded(fields.get("grpc-message", "")))


def _decoded(text: str) -> str:
    """The text of a percent-encoded message; what is encoded wrongly stays as it is."""
    raw = text.encode("utf-8", "replace")
    return _ESCAPE.sub(lambda match: bytes([int(match[1], 16)]), raw).decode("utf-8", "replace")
