"""What an object store or the way to it said, as errors of ours, in words that hold no secret.

Never quotes a request. What the store said is quoted shortened, the credentials taken out, for a store may echo
them. Neighbour: `s3`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from botocore import exceptions
from botocore.parsers import ResponseParserError

from engine.base.errors import (
    Conflict,
    Denied,
    Garbled,
    Missing,
    OutcomeUnknown,
    Refused,
    RemoteError,
    Sent,
    Throttled,
    Unreachable,
)

_LONGEST = 200

_CODES: Final[Mapping[str, tuple[type[RemoteError], str, str]]] = {
    "NoSuchKey": (Missing, "NotFound", "no such object"),
    "NoSuchBucket": (Refused, "NoSuchBucket", "there is no such bucket; create it or correct its name"),
    "NoSuchUpload": (Conflict, "NoSuchUpload", "the upload is gone; somebody else has ended it"),
    "SignatureDoesNotMatch": (Denied, "WrongCredentials", "the secret access key is not that of the key ID"),
    "InvalidAccessKeyId": (Denied, "WrongCredentials", "the access key ID is not known"),
    "ExpiredToken": (Denied, "WrongCredentials", "the credentials have expired"),
    "RequestTimeTooSkewed": (Denied, "ClockSkew", "the clock here and that of the store differ too much"),
    "RequestTimeout": (OutcomeUnknown, "Timeout", "the store got the request too slowly"),
    "AuthorizationHeaderMalformed": (Refused, "WrongRegion", "the bucket is in another region"),
    "IllegalLocationConstraintException": (Refused, "WrongRegion", "the bucket is in another region"),
    "PermanentRedirect": (Refused, "WrongRegion", "the bucket is elsewhere"),
    "BadDigest": (Garbled, "BadDigest", "the store received other bytes than were sent"),
    "InvalidDigest": (Garbled, "BadDigest", "the store received other bytes than were sent"),
    "XAmzContentSHA256Mismatch": (Garbled, "BadDigest", "the store received other bytes than were sent"),
    "SlowDown": (Throttled, "SlowDown", "the store asks to slow down"),
    "RequestLimitExceeded": (Throttled, "SlowDown", "the store asks to slow down"),
    "TooManyRequests": (Throttled, "SlowDown", "the store asks to slow down"),
}


@contextmanager
def failures(operation: str, source: str, secrets: tuple[str, ...]) -> Iterator[None]:
    """Raises RemoteError in place of what botocore raises; `secrets` are taken out of what the store said."""
    try:
        yield
    except exceptions.ClientError as error:
        raise of_answer(error.response, operation, source, secrets) from None
    except (exceptions.BotoCoreError, ResponseParserError) as error:
        raise _of_way(error, operation, source) from None
    except (KeyError, TypeError, ValueError):
        text = "its answer lacks what was asked for"
        raise Garbled(text, source=source, operation=operation, sent="yes") from None


def of_answer(
    answer: Mapping[str, Any], operation: str, source: str, secrets: tuple[str, ...] = ()
) -> RemoteError:
    """The error that an answer of the store tells of."""
    told = answer.get("Error") or {}
    metadata = answer.get("ResponseMetadata") or {}
    status = metadata.get("HTTPStatusCode") or 0
    word = str(told.get("Code") or status)
    kind, code, text = _CODES.get(word) or _of_status(status, word)
    if code in ("WrongRegion", "Redirected"):
        text += _where(told, metadata.get("HTTPHeaders") or {})
    said = _scrubbed(str(told.get("Message") or ""), secrets)
    if said and kind not in (Missing, Throttled):
        text = f"{text} (it said: {said})"
    sent: Sent = "unknown" if kind is OutcomeUnknown else "yes"
    return kind(
        f"{_scrubbed(word, secrets)}: {text}" if not word.isdecimal() else f"{text} ({word})",
        source=source,
        operation=operation,
        sent=sent,
        code=code,
        retry_after_s=_seconds(metadata.get("HTTPHeaders") or {}) if kind is Throttled else None,
    )


def _of_status(status: int, word: str) -> tuple[type[RemoteError], str, str]:
    if status in (401, 403):
        text = "the store refuses these credentials; without the right to list, absent objects look so too"
        return Denied, "AccessDenied", text
    if status == 404:
        return Missing, "NotFound", "no such object"
    if status in (301, 302, 303, 308):
        return Refused, "WrongRegion", "the bucket is elsewhere"
    if status == 307:
        return RemoteError, "Redirected", "the store sends the request elsewhere for now"
    if status in (409, 412):
        return Conflict, "Conflict", "somebody else changed the object"
    if status in (429, 503):
        return Throttled, "SlowDown", "the store asks to slow down"
    if status == 501:
        return Refused, "NotImplemented", "the store cannot do this"
    if status >= 500 or status in (0, 200, 408) or word == "InternalError":
        return OutcomeUnknown, "StoreFailed", "the store failed"
    return Refused, "Refused", "the store refuses the request"


def _where(told: Mapping[str, Any], headers: Mapping[str, str]) -> str:
    region = told.get("Region") or headers.get("x-amz-bucket-region")
    if region:
        return f": its region is {str(region)[:40]}"
    endpoint = told.get("Endpoint")
    return f": its endpoint is {str(endpoint)[:120]}" if endpoint else "; correct region or endpoint"


def _of_way(error: Exception, operation: str, source: str) -> RemoteError:
    """Text of botocore is not used: it may quote the request."""
    kind: type[RemoteError] = OutcomeUnknown
    sent: Sent = "unknown"
    code, text = "Interrupted", "the connection ended before the answer"
    match error:
        case exceptions.SSLError():
            kind, sent, code, text = Unreachable, "no", "BadCertificate", "its certificate cannot be trusted"
        case exceptions.ConnectTimeoutError():
            kind, sent, code, text = Unreachable, "no", "ConnectTimeout", "not reached in time"
        case exceptions.EndpointConnectionError() | exceptions.ProxyConnectionError():
            kind, sent, code, text = Unreachable, "no", "ConnectionRefused", "it cannot be reached"
        case exceptions.ReadTimeoutError():
            code, text = "Timeout", "no answer in time"
        case ResponseParserError():
            kind, sent, code, text = Garbled, "yes", "Garbled", "its answer cannot be understood"
        case exceptions.ParamValidationError() | exceptions.InvalidRegionError() | exceptions.NoRegionError():
            kind, sent, code, text = (
                Refused,
                "no",
                "InvalidStorage",
                "bucket, region or key have a wrong form",
            )
        case exceptions.IncompleteReadError() | exceptions.ResponseStreamingError():
            text = "the object ended early"
    return kind(text, source=source, operation=operation, sent=sent, code=code)


def _scrubbed(text: str, secrets: tuple[str, ...]) -> str:
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    return "".join(each if each.isprintable() else " " for each in text)[:_LONGEST]


def _seconds(headers: Mapping[str, str]) -> float | None:
    text = str(headers.get("retry-after", ""))
    return min(float(text), 3600.0) if text.isdecimal() else None
