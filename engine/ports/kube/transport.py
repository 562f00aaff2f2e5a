"""Send one request and get one answer, within a deadline, or an error that says what was sent.

`sent` is `no` when no connection came to be, `unknown` when it broke or went silent after that,
`yes` when an HTTP answer came. A read is tried a second time over a new connection when the first
one broke; a write never is. Never interprets objects. Neighbours: `client` builds the requests,
`failures` names what the server refused, `stream` reads what `open_stream` opened.
"""

from __future__ import annotations

import json
import re
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import requests

from engine.base.errors import Denied, Garbled, OutcomeUnknown, RemoteError, Unreachable
from engine.ports.kube.access import Access
from engine.ports.kube.failures import SOURCE, failure

_CONNECT_S = 5.0
_CHUNK = 1 << 14
"""What one read can give, for no record of TLS holds more; a buffer is made for it each time."""
_JSON = "application/json"
# Alerts that a server sends about a certificate of ours, under TLS 1.3 after our handshake is over.
_REFUSES_US = re.compile("ALERT.*(CERT|UNKNOWN_CA|ACCESS_DENIED)")


@dataclass(frozen=True, slots=True)
class Request:
    """One request: `path` below the server's URL, `body` as JSON under `content_type`."""

    method: str
    path: str
    operation: str
    params: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | list[Any] | None = None
    content_type: str = _JSON


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """What a finished request tells the metrics; `code` is the HTTP status, or a word without one."""

    method: str
    host: str
    code: str
    seconds: float


class Transport:
    """Sends requests over one Access. Safe for use by many threads."""

    def __init__(self, access: Access, on_request: Callable[[RequestRecord], None] | None = None) -> None:
        self._access = access
        self._host = access.server.partition("://")[2].partition("/")[0]
        self._on_request = on_request

    def send(self, request: Request, *, deadline_s: float) -> Any:
        """The decoded JSON of the answer, None when it is empty. Raises RemoteError."""
        try:
            return self._send(request, deadline_s)
        except OutcomeUnknown as error:
            # A kept connection that the server has just closed looks like this.
            if request.method != "GET" or error.code == "Silent":
                raise
            return self._send(request, deadline_s)

    def _send(self, request: Request, deadline_s: float) -> Any:
        until = time.monotonic() + deadline_s
        response = self.open_stream(request, read_timeout_s=deadline_s)
        try:
            body = _body(response, request, until)
        finally:
            response.close()
        if not body:
            return None
        return decoded(body, request.operation)

    def open_stream(self, request: Request, *, read_timeout_s: float) -> requests.Response:
        """An answered request whose body has not been read; the caller closes it. Raises RemoteError."""
        response = self._exchange(request, read_timeout_s)
        bearer = self._access.bearer
        if response.status_code == 401 and bearer is not None and bearer.renew():
            response.close()
            response = self._exchange(request, read_timeout_s)
        if response.status_code >= 300:
            try:
                raise self._refusal(response, request)
            finally:
                response.close()
        return response

    def close(self) -> None:
        """Close the kept connections."""
        self._access.session.close()

    def _exchange(self, request: Request, read_timeout_s: float) -> requests.Response:
        data = None if request.body is None else json.dumps(request.body, separators=(",", ":")).encode()
        headers = {"Accept": _JSON, "Accept-Encoding": "identity"}
        if data is not None:
            headers["Content-Type"] = request.content_type
        started = time.monotonic()
        code = "error"
        try:
            response = self._access.session.request(
                request.method,
                self._access.server + request.path,
                params=dict(request.params),
                data=data,
                headers=headers,
                timeout=(min(_CONNECT_S, read_timeout_s), read_timeout_s),
                stream=True,
                allow_redirects=False,
            )
            code = str(response.status_code)
            return response
        except requests.RequestException as error:
            raise broken(error, request.operation) from None
        finally:
            self._record(request.method, code, time.monotonic() - started)

    def _record(self, method: str, code: str, seconds: float) -> None:
        if self._on_request is not None:
            self._on_request(RequestRecord(method, self._host, code, seconds))

    def _refusal(self, response: requests.Response, request: Request) -> RemoteError:
        try:
            body = _body(response, request, time.monotonic() + _CONNECT_S)
            status = json.loads(body)
        except (RemoteError, ValueError):
            status = {}
        if not isinstance(status, dict):
            status = {}
        return failure(
            response.status_code,
            status,
            operation=request.operation,
            retry_after=response.headers.get("Retry-After"),
        )


def decoded(body: bytes, operation: str) -> Any:
    """The JSON value of `body`; raises Garbled when it is none."""
    try:
        return json.loads(body)
    except ValueError:
        message = f"the answer of {len(body)} bytes is not JSON"
        raise Garbled(message, source=SOURCE, operation=operation, sent="yes") from None


def pieces(response: requests.Response, operation: str) -> Iterator[bytes]:
    """The bytes of a body as they arrive. Raises RemoteError, `sent="yes"`, when the connection breaks."""
    read = response.raw.read1
    try:
        while piece := read(_CHUNK):
            yield piece
    # Whatever urllib3, http.client, ssl or a socket shut down under the reader raise here, it
    # means one thing: the connection is of no more use.
    except Exception as error:  # noqa: BLE001
        failed = broken(error, operation)
        failed.sent = "yes"
        raise failed from None


def _body(response: requests.Response, request: Request, until: float) -> bytes:
    parts = []
    for piece in pieces(response, request.operation):
        parts.append(piece)
        if time.monotonic() > until:
            text = "the answer did not end in time"
            raise OutcomeUnknown(text, source=SOURCE, operation=request.operation, sent="yes", code="Silent")
    return b"".join(parts)


def broken(error: BaseException, operation: str) -> RemoteError:
    """The typed error for one that a connection ended with."""
    chain = list(_chain(error))
    names = {type(item).__name__ for item in chain}
    for item in chain:
        if isinstance(item, ssl.SSLCertVerificationError):
            text = f"its certificate is not trusted: {item.verify_message}"
            return Unreachable(text, source=SOURCE, operation=operation, sent="no", code="CertificateUnknown")
        if isinstance(item, ssl.SSLError) and _REFUSES_US.search(item.reason or ""):
            text = "it refuses our client certificate"
            return Denied(text, source=SOURCE, operation=operation, sent="no", code="CertificateRefused")
    if names & {
        "NewConnectionError",
        "ConnectTimeoutError",
        "NameResolutionError",
        "InvalidURL",
        "MissingSchema",
    }:
        cause = chain[-1]
        text = f"cannot connect: {getattr(cause, 'strerror', None) or cause}"
        return Unreachable(text, source=SOURCE, operation=operation, sent="no")
    if names & {"ReadTimeoutError", "ReadTimeout", "TimeoutError"}:
        return _unknown("Silent", "no answer in time", operation)
    return _unknown(None, f"the connection broke ({type(chain[-1]).__name__})", operation)


def _unknown(code: str | None, text: str, operation: str) -> OutcomeUnknown:
    return OutcomeUnknown(text, source=SOURCE, operation=operation, sent="unknown", code=code)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what is wrapped in it, outermost first, in all the ways that libraries wrap."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        inner = [
            item for item in (*error.args, getattr(error, "reason", None)) if isinstance(item, BaseException)
        ]
        error = inner[0] if inner else error.__cause__ or error.__context__
