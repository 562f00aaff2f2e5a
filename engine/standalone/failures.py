"""What the API answers when it says no: the Kubernetes Status object with reason and causes.

Every refusal inside the package is an ApiFailure; the HTTP edge turns it into a body. Wording
follows kube-apiserver 1.37, because people search for it. Never holds the values of Secrets.
Neighbours: everything here raises it, `http` renders it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.base.errors import EngineError

INVALID = "FieldValueInvalid"
REQUIRED = "FieldValueRequired"
NOT_SUPPORTED = "FieldValueNotSupported"
TYPE_INVALID = "FieldValueTypeInvalid"
FORBIDDEN = "FieldValueForbidden"
DUPLICATE = "FieldValueDuplicate"
TOO_LONG = "FieldValueTooLong"
TOO_MANY = "FieldValueTooMany"
MANAGER_CONFLICT = "FieldManagerConflict"


@dataclass(frozen=True, slots=True)
class Cause:
    """One entry of details.causes: `reason` is a word such as FieldValueInvalid, `field` a dotted path."""

    reason: str
    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


@dataclass(eq=False)
class ApiFailure(EngineError):
    """A request ends with this HTTP `code` and Status `reason`; nothing was stored."""

    code: int
    reason: str
    message: str
    details: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.message

    def body(self) -> dict[str, Any]:
        """The Status object of the answer."""
        status: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code,
        }
        if self.details:
            status["details"] = self.details
        return status


class StandaloneError(EngineError):
    """The embedded API cannot start: directory, port or database; the text says which and what to do."""


def not_found(group: str, plural: str, name: str) -> ApiFailure:
    """404 for an object that is not there."""
    return ApiFailure(
        404, "NotFound", f'{qualified(plural, group)} "{name}" not found', _about(group, plural, name)
    )


def not_served() -> ApiFailure:
    """404 for a path that names no served kind."""
    return ApiFailure(404, "NotFound", "the server could not find the requested resource")


def already_exists(group: str, plural: str, name: str) -> ApiFailure:
    """409 for a create whose name is taken."""
    return ApiFailure(
        409,
        "AlreadyExists",
        f'{qualified(plural, group)} "{name}" already exists',
        _about(group, plural, name),
    )


_STALE = "the object has been modified; please apply your changes to the latest version and try again"


def conflict(group: str, plural: str, name: str, why: str = _STALE) -> ApiFailure:
    """409 for a stale resourceVersion or a precondition that does not hold."""
    text = f'Operation cannot be fulfilled on {qualified(plural, group)} "{name}": {why}'
    return ApiFailure(409, "Conflict", text, _about(group, plural, name))


def invalid(group: str, kind: str, name: str, causes: Sequence[Cause]) -> ApiFailure:
    """422 with one cause per broken rule."""
    listed = ", ".join(str(cause) for cause in causes)
    text = f"[{listed}]" if len(causes) > 1 else listed
    details = _about(group, kind, name) | {"causes": cause_list(causes)}
    subject = f'{qualified(kind, group)} "{name}"' if kind else f' "{name}"'
    return ApiFailure(422, "Invalid", f"{subject} is invalid: {text}", details)


def bad_request(message: str) -> ApiFailure:
    """400: the request itself makes no sense."""
    return ApiFailure(400, "BadRequest", message)


def forbidden(group: str, plural: str, name: str, why: str) -> ApiFailure:
    """403: the request is understood and not allowed."""
    return ApiFailure(
        403,
        "Forbidden",
        f'{qualified(plural, group)} "{name}" is forbidden: {why}',
        _about(group, plural, name),
    )


def expired(message: str) -> ApiFailure:
    """410: the resource version or continue token is older than the event log."""
    return ApiFailure(410, "Expired", message)


def storage_failed(error: Exception) -> ApiFailure:
    """507 when the disk is full, 500 for any other fault of the database; nothing was stored."""
    text = str(error)
    if "full" in text:
        return ApiFailure(507, "InsufficientStorage", f"nothing was stored: {text}; free space and try again")
    return ApiFailure(500, "InternalError", f"nothing was stored: the database failed: {text}")


def cause_list(causes: Sequence[Cause]) -> list[dict[str, str]]:
    """Causes as a Status carries them."""
    return [{"reason": cause.reason, "message": cause.message, "field": cause.field} for cause in causes]


def qualified(name: str, group: str) -> str:
    """`plural.group`, or the plural alone for core kinds."""
    return f"{name}.{group}" if group else name


def _about(group: str, kind: str, name: str) -> dict[str, Any]:
    return {key: value for key, value in (("name", name), ("group", group), ("kind", kind)) if value}
