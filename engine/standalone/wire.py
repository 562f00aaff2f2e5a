"""Kubernetes protobuf bodies to JSON values, for the core kinds that kubectl sends in no other form.

Field numbers are those of the public generated.proto files (core/v1, meta/v1, coordination/v1,
authorization/v1). Fields outside the tables are ignored; answers are always JSON. Neighbours: `decoding`.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"
_MAGIC = b"k8s\x00"

Shape = Mapping[int, tuple[str, Any]]

_TIME = "time"
_OWNER: Shape = {
    1: ("kind", "text"),
    3: ("name", "text"),
    4: ("uid", "text"),
    5: ("apiVersion", "text"),
    6: ("controller", "flag"),
    7: ("blockOwnerDeletion", "flag"),
}
_META: Shape = {
    1: ("name", "text"),
    2: ("generateName", "text"),
    3: ("namespace", "text"),
    5: ("uid", "text"),
    6: ("resourceVersion", "text"),
    8: ("creationTimestamp", _TIME),
    11: ("labels", "texts by name"),
    12: ("annotations", "texts by name"),
    13: ("ownerReferences", [_OWNER]),
    14: ("finalizers", ["text"]),
}
_REFERENCE: Shape = {
    1: ("kind", "text"),
    2: ("namespace", "text"),
    3: ("name", "text"),
    4: ("uid", "text"),
    5: ("apiVersion", "text"),
    6: ("resourceVersion", "text"),
    7: ("fieldPath", "text"),
}
_EVENT: Shape = {
    1: ("metadata", _META),
    2: ("involvedObject", _REFERENCE),
    3: ("reason", "text"),
    4: ("message", "text"),
    5: ("source", {1: ("component", "text"), 2: ("host", "text")}),
    6: ("firstTimestamp", _TIME),
    7: ("lastTimestamp", _TIME),
    8: ("count", "number"),
    9: ("type", "text"),
    10: ("eventTime", "fine time"),
    11: ("series", {1: ("count", "number"), 2: ("lastObservedTime", "fine time")}),
    12: ("action", "text"),
    13: ("related", _REFERENCE),
    14: ("reportingComponent", "text"),
    15: ("reportingInstance", "text"),
}
_LEASE_SPEC: Shape = {
    1: ("holderIdentity", "text"),
    2: ("leaseDurationSeconds", "number"),
    3: ("acquireTime", "fine time"),
    4: ("renewTime", "fine time"),
    5: ("leaseTransitions", "number"),
}
_ATTRIBUTES: Shape = {
    1: ("namespace", "text"),
    2: ("verb", "text"),
    3: ("group", "text"),
    4: ("version", "text"),
    5: ("resource", "text"),
    6: ("subresource", "text"),
    7: ("name", "text"),
}
_SHAPES: Mapping[str, Shape] = {
    "Namespace": {1: ("metadata", _META), 2: ("spec", {1: ("finalizers", ["text"])})},
    "Secret": {
        1: ("metadata", _META),
        2: ("data", "bytes by name"),
        3: ("type", "text"),
        4: ("stringData", "texts by name"),
        5: ("immutable", "flag"),
    },
    "ConfigMap": {
        1: ("metadata", _META),
        2: ("data", "texts by name"),
        3: ("binaryData", "bytes by name"),
        4: ("immutable", "flag"),
    },
    "Event": _EVENT,
    "Lease": {1: ("metadata", _META), 2: ("spec", _LEASE_SPEC)},
    "DeleteOptions": {
        1: ("gracePeriodSeconds", "number"),
        2: ("preconditions", {1: ("uid", "text"), 2: ("resourceVersion", "text")}),
        3: ("orphanDependents", "flag"),
        4: ("propagationPolicy", "text"),
        5: ("dryRun", ["text"]),
    },
    "SelfSubjectReview": {1: ("metadata", _META)},
    "SelfSubjectRulesReview": {1: ("metadata", _META), 2: ("spec", {1: ("namespace", "text")})},
    "SelfSubjectAccessReview": {
        1: ("metadata", _META),
        2: ("spec", {1: ("resourceAttributes", _ATTRIBUTES)}),
    },
}


def from_wire(data: bytes) -> dict[str, Any]:
    """The object in a body of MEDIA_TYPE. ValueError when it is cut short or of a kind not known here."""
    if not data.startswith(_MAGIC):
        raise ValueError("it does not begin with the k8s marker")
    envelope = _message(
        data[len(_MAGIC) :], {1: ("type", {1: ("v", "text"), 2: ("k", "text")}), 2: ("raw", "raw")}
    )
    about = envelope.get("type", {})
    kind = about.get("k", "")
    if kind not in _SHAPES:
        raise ValueError(f"{kind or 'an unnamed kind'} is read as JSON only")
    value = _message(envelope.get("raw", b""), _SHAPES[kind])
    return {"apiVersion": about.get("v", ""), "kind": kind, **value}


def _message(data: bytes, shape: Shape) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for number, content in _fields(data):
        if number not in shape:
            continue
        name, form = shape[number]
        if isinstance(form, list):
            value.setdefault(name, []).append(_content(content, form[0]))
        elif isinstance(form, str) and form.endswith(" by name"):
            entry = _message(_raw(content), {1: ("key", "text"), 2: ("value", form.split()[0].rstrip("s"))})
            value.setdefault(name, {})[entry.get("key", "")] = entry.get("value", "")
        else:
            found = _content(content, form)
            # Go writes every string and time of a message; the zero ones stand for absent.
            if found not in ("", None):
                value[name] = found
    return value


def _content(content: int | bytes, form: Any) -> Any:
    if not isinstance(form, str):
        return _message(_raw(content), form)
    if form in ("number", "flag"):
        if not isinstance(content, int):
            raise ValueError("a number is not encoded as one")
        return bool(content) if form == "flag" else content - (1 << 64 if content >= 1 << 63 else 0)
    data = _raw(content)
    if form == "text":
        return data.decode()
    if form == "byte":
        return base64.b64encode(data).decode()
    return data if form == "raw" else _time(data, fine=form != _TIME)


def _time(data: bytes, *, fine: bool) -> str | None:
    parts = _message(data, {1: ("seconds", "number"), 2: ("nanos", "number")})
    if not parts.get("seconds"):
        return None
    text = datetime.fromtimestamp(parts["seconds"], UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{parts.get('nanos', 0) // 1000:06d}Z" if fine else f"{text}Z"


def _raw(content: int | bytes) -> bytes:
    if isinstance(content, int):
        raise ValueError("a message is not encoded as one")  # noqa: TRY004  the wire is at fault, not the caller
    return content


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        kind = tag & 7
        if kind == 0:
            number, position = _varint(data, position)
            yield tag >> 3, number
            continue
        if kind == 2:
            length, position = _varint(data, position)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise ValueError(f"wire type {kind} is unknown")
        if position + length > len(data):
            raise ValueError("it is cut short")
        yield tag >> 3, data[position : position + length]
        position += length


def _varint(data: bytes, position: int) -> tuple[int, int]:
    number = shift = 0
    while position < len(data) and shift < 64:
        byte = data[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, position
        shift += 7
    raise ValueError("it is cut short")
