"""The values that flow through rules: JSON, and the four things JSON cannot say.

`Unknown` says "nobody answered": it is neither null nor false, and only `known`, `failed`
and `error` of the expression language look behind it. `Opaque` is a secret that can be
carried and compared, never printed. `OMIT` says "this field is not mine", `REMOVE` says
"take this field away". Never imports anything of the engine.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

# A recursive alias cannot say "list of itself" and stay readable to mypy; see `is_plain`.
Value: TypeAlias = Any
"""None, bool, int, float, str, list, dict with text keys, Opaque, Unknown, OMIT or REMOVE."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value that could not be had in this pass.

    `source` is the reference that has no answer (`obs.etcd`), `reason` the text for people,
    `skipped` whether it was left out by its own `when` rather than failed.
    """

    source: str
    reason: str
    skipped: bool = False

    def __bool__(self) -> bool:
        raise TypeError(f"{self.source} is unknown ({self.reason}); it is neither true nor false")


class Opaque:
    """A secret text. It compares equal by content and shows itself as `***`."""

    __slots__ = ("_digest", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._digest = ""

    def reveal(self) -> str:
        """The secret itself; only for Secret data, a capability's input or an identity."""
        return self._text

    def digest(self) -> str:
        """Sixteen hex digits that tell two secrets apart and say nothing about either."""
        if not self._digest:
            self._digest = hashlib.blake2b(self._text.encode(), digest_size=8).hexdigest()
        return self._digest

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Opaque) and hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash(("Opaque", self._text))

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__


class Marker:
    """A value with a meaning of its own and no content: OMIT and REMOVE."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name

    def __bool__(self) -> bool:
        raise TypeError(f"{self._name} is neither true nor false")


OMIT: Final = Marker("omit()")
REMOVE: Final = Marker("null()")


def first_unknown(value: Value) -> Unknown | None:
    """The first Unknown inside `value`, at any depth, or None."""
    kind = type(value)
    if kind is dict:
        value = value.values()
    elif kind is not list and kind is not tuple:
        return value if kind is Unknown else None
    for item in value:
        if type(item) is str:
            continue
        found = first_unknown(item)
        if found is not None:
            return found
    return None


def redact(value: Value) -> Value:
    """A copy fit for plans and logs: every Opaque becomes the text `***`."""
    if isinstance(value, Opaque):
        return "***"
    if isinstance(value, dict):
        return {key: redact(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [redact(item) for item in value]
    if isinstance(value, Unknown):
        return f"(unknown: {value.reason})"
    if isinstance(value, Marker):
        return repr(value)
    return value


def reveal(value: Value) -> Value:
    """A copy with every Opaque laid open; only for the body of a Secret or of a Talos call."""
    if isinstance(value, Opaque):
        return value.reveal()
    if isinstance(value, dict):
        return {key: reveal(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [reveal(item) for item in value]
    return value
