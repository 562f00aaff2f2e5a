"""Count the requests in a stream of HTTP/2 bytes, as they pass.

Every gRPC call begins with one HEADERS frame from the client; a call whose HEADERS were never passed
up was never sent. Pure. Source: RFC 9113 sections 3.4 and 4.1. Neighbour: `relay`.
"""

from __future__ import annotations

_PREFACE = 24
_HEADER = 9
_HEADERS_FRAME = 1


class RequestCounter:
    """Counts the HEADERS frames of the client's half of one connection, whatever the chunks."""

    __slots__ = ("_header", "_skip", "requests")

    def __init__(self) -> None:
        self._header = b""
        self._skip = _PREFACE
        self.requests = 0

    def feed(self, data: bytes) -> None:
        """Look at the next bytes."""
        place, end = 0, len(data)
        while place < end:
            if self._skip:
                step = min(self._skip, end - place)
                self._skip -= step
                place += step
                continue
            step = min(_HEADER - len(self._header), end - place)
            self._header += data[place : place + step]
            place += step
            if len(self._header) == _HEADER:
                self._skip = int.from_bytes(self._header[:3], "big")
                self.requests += self._header[3] == _HEADERS_FRAME
                self._header = b""
