"""Functions over texts, conversions, versions and durations.

Each takes values of the kinds in its signature, never null unless it says so, and raises
FunctionError for contents it cannot take; a secret never becomes text. Pure. Neighbour:
`functions` collects them.
"""

from __future__ import annotations

import base64
import json
import re
from typing import Any, Final

from engine.base.timestamps import epoch, rfc3339
from engine.base.values import OMIT, REMOVE, Marker, Opaque, Unknown, Value, first_unknown
from engine.base.yamltext import dump
from engine.expr.durations import seconds_in
from engine.expr.operators import FunctionError, is_number
from engine.expr.signatures import function, kind_of

_VERSION: Final = re.compile(r"v?(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.-]+))?(?:\+.*)?")


@function("ends_with(subject: string, suffix: string) -> boolean")
def ends_with(subject: Value, suffix: Value) -> Value:
    """Whether the text ends so."""
    return subject.endswith(suffix)


@function("starts_with(subject: string, prefix: string) -> boolean")
def starts_with(subject: Value, prefix: Value) -> Value:
    """Whether the text begins so."""
    return subject.startswith(prefix)


@function("join(glue: string, values: array) -> string")
def join(glue: Value, values: Value) -> Value:
    """The texts in one."""
    for item in values:
        if isinstance(item, Unknown):
            return item
        if not isinstance(item, str):
            raise FunctionError(f"the list must hold texts only, there is {kind_of(item)}")
    return glue.join(values)


@function("lower(text: string) -> string")
def lower(text: Value) -> Value:
    """In lower case."""
    return text.lower()


@function("replace(text: string, old: string, new: string) -> string")
def replace(text: Value, old: Value, new: Value) -> Value:
    """Every occurrence replaced."""
    if not old:
        raise FunctionError("an empty text cannot be replaced")
    return text.replace(old, new)


@function("type(value: any?) -> string")
def type_of(value: Value) -> Value:
    """number, string, boolean, array, object or null."""
    return _disclosed(kind_of(value), value)


@function("to_number(value: any?) -> number?")
def to_number(value: Value) -> Value:
    """A number of a text; null when it is none."""
    if is_number(value):
        return value
    if not isinstance(value, str) or not re.fullmatch(r"-?\d{1,300}(\.\d+)?([eE][+-]?\d{1,2})?", value):
        return _disclosed(None, value)
    return int(value) if value.lstrip("-").isdigit() else float(value)


@function("to_string(value: any?) -> string")
def to_string(value: Value) -> Value:
    """The text itself, or compact JSON in the order of the keys, nulls kept."""
    if isinstance(value, str):
        return value
    unknown = first_unknown(value)
    return (
        json.dumps(_plain(value), separators=(",", ":"), ensure_ascii=False) if unknown is None else unknown
    )


@function("to_yaml(value: any) -> string")
def to_yaml(value: Value) -> Value:
    """YAML of a value, keys in their order."""
    unknown = first_unknown(value)
    return dump(_plain(value)) if unknown is None else unknown


@function("b64encode(text: string|opaque) -> string")
def b64encode(text: Value) -> Value:
    """Base64 of the UTF-8 bytes; of a secret a secret."""
    if isinstance(text, Opaque):
        return Opaque(base64.b64encode(text.reveal().encode()).decode())
    return base64.b64encode(text.encode()).decode()


@function("duration(text: string) -> number")
def duration(text: Value) -> Value:
    """Seconds of `90s`, `5m`, `2h30m`, `7d`."""
    return _whole(seconds_in(text))


@function("epoch(time: timestamp) -> number")
def epoch_of(time: Value) -> Value:
    """Seconds since 1970."""
    return seconds_of(time)


@function("after(time: timestamp, seconds: number) -> string")
def after(time: Value, seconds: Value) -> Value:
    """The time so many seconds later, to the second, as `2027-01-15T08:00:00Z`."""
    return rfc3339(seconds_of(time) + seconds)


@function("semver_cmp(first: string, second: string) -> integer")
def semver_cmp(first: Value, second: Value) -> Value:
    """-1, 0 or 1, as versions are ordered (semver 2.0); a `v` before and a `+build` after do not count."""
    one, other = _version(first), _version(second)
    return (one > other) - (one < other)


@function("null() -> remove")
def remove() -> Value:
    """Takes the field away."""
    return REMOVE


@function("omit() -> omit")
def omit() -> Value:
    """This field is not mine."""
    return OMIT


def seconds_of(time: Value) -> Value:
    """Seconds since 1970 of a time, which may be given in seconds already; whole ones as an integer."""
    return _whole(time if is_number(time) else epoch(time))


def _whole(seconds: float) -> float:
    return int(seconds) if seconds == int(seconds) else seconds


def _disclosed(answer: Value, asked: Value) -> Value:
    if isinstance(asked, Opaque):
        raise FunctionError("a secret may only be asked whether it is null")
    return answer


def _plain(value: Value) -> Value:
    """The value as text formats can hold it, without the entries that are left out."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if not isinstance(item, Marker)}
    if isinstance(value, list):
        return [_plain(item) for item in value if not isinstance(item, Marker)]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise FunctionError(f"{kind_of(value)} cannot become text")


def _version(text: str) -> tuple[Any, ...]:
    match = _VERSION.fullmatch(text)
    if match is None:
        raise FunctionError(f"{text!r} is no version")
    numbers = tuple(int(match.group(index)) for index in (1, 2, 3))
    before = match.group(4)
    if before is None:
        return (*numbers, 1, ())
    return (
        *numbers,
        0,
        tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in before.split(".")),
    )
