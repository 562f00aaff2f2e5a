"""Turn a refusal of the API server into the error that says what the caller has to decide.

Pure. The shape of a Status (reason, message, details.causes, details.retryAfterSeconds) is that of
meta/v1 of the Kubernetes API. An HTTP answer always means `sent="yes"`. Neighbours: `transport`
and `stream` call it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.base.errors import (
    AlreadyExists,
    Conflict,
    Denied,
    Expired,
    Missing,
    Refused,
    RemoteError,
    Throttled,
)

SOURCE = "kubernetes"

_BY_STATUS: Mapping[int, type[RemoteError]] = {
    400: Refused,
    401: Denied,
    403: Denied,
    404: Missing,
    405: Refused,
    406: Refused,
    409: Conflict,
    410: Expired,
    413: Refused,
    415: Refused,
    422: Refused,
    429: Throttled,
}
_BY_REASON: Mapping[str, type[RemoteError]] = {
    "AlreadyExists": AlreadyExists,
    "Expired": Expired,
    "Gone": Expired,
}
_WORDS = {400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 429: "TooManyRequests"}


def failure(
    code: int, status: Mapping[str, Any], *, operation: str, retry_after: str | None = None
) -> RemoteError:
    """The error for HTTP status `code` with the Status object `status` (empty when there was none).

    `code` of the error is the reason word of the server. Where the server asked for a pause
    (details or the header `Retry-After`) the error carries it, and a 5xx becomes Throttled.
    """
    reason = str(status.get("reason") or "")
    pause = _pause(status, retry_after)
    kind = _BY_REASON.get(reason) or _BY_STATUS.get(code) or (Throttled if pause is not None else RemoteError)
    return kind(
        _text(code, status),
        source=SOURCE,
        operation=operation,
        sent="yes",
        code=reason or _WORDS.get(code),
        retry_after_s=pause,
    )


def _text(code: int, status: Mapping[str, Any]) -> str:
    message = str(status.get("message") or f"the API server answered {code} without saying why")
    causes = []
    for cause in (status.get("details") or {}).get("causes") or ():
        text = str(cause.get("message") or "")
        if text and text not in message:
            field = cause.get("field")
            causes.append(f"{field}: {text}" if field else text)
    return "; ".join([message, *causes])


def _pause(status: Mapping[str, Any], header: str | None) -> float | None:
    seconds = (status.get("details") or {}).get("retryAfterSeconds") or header
    try:
        return max(0.0, float(seconds)) if seconds else None
    except (TypeError, ValueError):
        return None
