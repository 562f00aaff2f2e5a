"""Label and field selectors, as lists and watches take them in the query.

Field selectors know metadata.name, metadata.namespace and what the kind declares selectable; any
other label is refused with 400. Pure. Neighbours: `lists`, `watching`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from engine.standalone.failures import bad_request
from engine.standalone.kinds import Served

Test = Callable[[Mapping[str, Any]], bool]

_SET = re.compile(r"^\s*(\S+)\s+(in|notin)\s+\((.*)\)\s*$")
_PART = re.compile(r",(?![^(]*\))")


def selector(served: Served, labels: str, fields: str) -> Test | None:
    """A test of stored objects in the form of `served`, or None when everything matches."""
    tests = [_label_test(part) for part in _PART.split(labels) if part.strip()]
    tests += [_field_test(served, part) for part in fields.split(",") if part.strip()]
    return (lambda value: all(test(value) for test in tests)) if tests else None


def exact_name(fields: str) -> str | None:
    """The name that a field selector asks for, so that a list need not look at every object."""
    for part in fields.split(","):
        match = re.match(r"^\s*metadata\.name\s*==?\s*(\S+)\s*$", part)
        if match:
            return match[1]
    return None


def _label_test(part: str) -> Test:
    match = _SET.match(part)
    if match:
        key, word, listed = match.groups()
        values = {value.strip() for value in listed.split(",")}
        return _membership(key, values, wanted=word == "in")
    for sign, wanted in (("!=", False), ("==", True), ("=", True)):
        key, found, value = part.partition(sign)
        if found:
            return _membership(_word(key), {value.strip()}, wanted=wanted)
    name = part.strip()
    if name.startswith("!"):
        absent = _word(name[1:])
        return lambda value: absent not in _labels(value)
    present = _word(name)
    return lambda value: present in _labels(value)


def _membership(key: str, values: set[str], *, wanted: bool) -> Test:
    if wanted:
        return lambda value: _labels(value).get(key) in values
    return lambda value: _labels(value).get(key) not in values


def _labels(value: Mapping[str, Any]) -> Mapping[str, Any]:
    labels = value["metadata"].get("labels")
    return labels if isinstance(labels, Mapping) else {}


def _word(text: str) -> str:
    name = text.strip()
    if not re.fullmatch(r"[A-Za-z0-9][-A-Za-z0-9_./]*", name):
        raise bad_request(f"unable to parse requirement: {text!r} is no label key")
    return name


def _field_test(served: Served, part: str) -> Test:
    match = re.match(r"^\s*([^=!\s]+)\s*(!=|==|=)\s*(.*?)\s*$", part)
    if not match:
        raise bad_request(f"invalid field selector: {part!r}")
    path, sign, wanted = match.groups()
    if path not in ("metadata.name", "metadata.namespace", *served.selectable):
        raise bad_request(f'field label not supported: "{path}"')
    names = path.split(".")
    return lambda value: (_field(value, names) == wanted) == (sign != "!=")


def _field(value: Any, names: list[str]) -> str:
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    if isinstance(value, Mapping):
        value = value.get("component")
    return {None: "", True: "true", False: "false"}.get(value, str(value))
