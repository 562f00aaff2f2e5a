"""Every error the engine raises on purpose, by what the caller has to decide.

A RemoteError says whether the request was sent (`no`, `yes`, `unknown`), whether trying
again can help, and a `code` that serves as the reason of a condition. Texts are for the
person who has to act; they never contain a secret. No neighbours: imports nothing.
"""

from __future__ import annotations

from typing import Literal

Sent = Literal["no", "yes", "unknown"]


class EngineError(Exception):
    """Root of all deliberate errors."""


class SettingsError(EngineError):
    """A flag, an environment variable or a file named by one is unusable; exit code 2."""


class ExpressionError(EngineError):
    """An expression could not be evaluated on one object (wrong type, cost limit)."""


class RemoteError(EngineError):
    """A request to another program failed.

    `source` names the other side (`127.0.1.1:50000`, `kubernetes`), `operation` what was
    asked (`machine.MachineService/Version`, `PATCH talosmachines`), `code` the stable word.
    """

    retryable: bool = True
    default_code: str = "RemoteError"

    def __init__(
        self,
        message: str,
        *,
        source: str = "",
        operation: str = "",
        sent: Sent = "unknown",
        code: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.source = source
        self.operation = operation
        self.sent: Sent = sent
        self.code = code or self.default_code
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        where = " ".join(part for part in (self.operation, self.source) if part)
        return f"{where}: {self.message}" if where else self.message


class Unreachable(RemoteError):
    """Nothing was sent: refused, silent, wrong certificate. `code` tells which."""

    default_code = "Unreachable"


class OutcomeUnknown(RemoteError):
    """The deadline passed or the connection broke after sending: look, do not resend."""

    default_code = "OutcomeUnknown"


class Throttled(RemoteError):
    """The other side asked to come back later; `retry_after_s` says when."""

    default_code = "Throttled"


class Conflict(RemoteError):
    """Somebody else wrote first, or a precondition no longer holds."""

    default_code = "Conflict"


class AlreadyExists(Conflict):
    """What was to be created is there."""

    default_code = "AlreadyExists"


class Missing(RemoteError):
    """The object or kind is not there."""

    default_code = "NotFound"


class Expired(RemoteError):
    """A resource version is too old (410): list again."""

    default_code = "Expired"


class Denied(RemoteError):
    """We may not: credentials or role."""

    retryable = False
    default_code = "Denied"


class Refused(RemoteError):
    """The other side understood and said no; the same request will fail again."""

    retryable = False
    default_code = "Refused"


class Garbled(RemoteError):
    """The reply cannot be decoded or fails its check."""

    default_code = "Garbled"


class CapabilityError(RemoteError):
    """A capability cannot do what was asked with this input; `code` is the reason word."""

    retryable = False
    default_code = "CapabilityError"


class Bug(RemoteError):
    """An error that nobody raised on purpose, in the place of one of theirs; its text stays in the log."""

    default_code = "InternalError"

    def __init__(self, error: Exception) -> None:
        super().__init__(f"a bug of ours ({type(error).__name__}); see the log")


class LeadershipLost(RemoteError):
    """This process may not change anything, for it does not lead or soon will not; nothing was sent."""

    default_code = "LeadershipLost"

    def __init__(self, message: str, *, operation: str = "") -> None:
        super().__init__(message, operation=operation, sent="no")
