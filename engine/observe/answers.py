"""Turn what a read gave back into an Observed: tolerated codes, `pick`, opened Secrets.

Pure. Neighbours: `snapshot` and `reads`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from engine.base.errors import EngineError, ExpressionError, RemoteError
from engine.base.model import Observed, ObservedStatus
from engine.base.values import Opaque, Unknown, first_unknown
from engine.expr import Scope
from engine.ruleset.model import ObserveRule


@dataclass(frozen=True, slots=True)
class Read:
    """One prepared read: `answer` is there, or `error` says why it cannot be made, or `work` asks for it."""

    item: str
    scope: Scope
    answer: Any = None
    work: Callable[[], Awaitable[Any]] | None = None
    error: EngineError | None = None


def picked(rule: ObserveRule, read: Read, answer: Any) -> Observed:
    """How one read ended, with `pick` applied to its answer."""
    error = read.error or answer
    if isinstance(error, EngineError):
        return failed(rule, error)
    value = read.answer if read.work is None else answer
    if rule.pick is None:
        return Observed("value", value)
    try:
        value = rule.pick.evaluate(read.scope, value)
    except ExpressionError as error:
        return Observed("error", code="ExpressionError", message=str(error))
    unknown = first_unknown(value)
    if isinstance(unknown, Unknown):
        return Observed("error", code="DependencyUnknown", message=f"{unknown.source}: {unknown.reason}")
    return Observed("value", value)


def failed(rule: ObserveRule, error: EngineError) -> Observed:
    """A read that ended with an error; a code that the rule tolerates is an answer."""
    if isinstance(error, RemoteError):
        status: ObservedStatus = "tolerated" if error.code in rule.tolerate else "error"
        return Observed(status, code=error.code, message=error.message)
    code = type(error).__name__ if isinstance(error, ExpressionError) else "InternalError"
    return Observed("error", code=code, message=str(error))


def opened(found: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """An object as expressions see it: the data of a Secret decoded and opaque."""
    if found is None or found.get("kind") != "Secret":
        return found
    data = {key: Opaque(_decoded(text)) for key, text in (found.get("data") or {}).items()}
    return {**found, "data": data}


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        # Kept as it is: whoever needs the content will say that it is unusable.
        return text
