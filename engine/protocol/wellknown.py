"""Messages that a person writes as one text or as plain data: times, durations, addresses, JSON.

Both directions in one place, so that what is read can be sent. Pure; neighbours: `decode`, `encode`, `schema`.
"""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DURATION: Final = re.compile(r"(?P<sign>-?)(?P<whole>\d+)(?:\.(?P<part>\d{1,9}))?s")


@dataclass(frozen=True, slots=True)
class WellKnown:
    """How one message is read and written as `schema` says. `write` fills a fresh message; ValueError when it cannot."""

    schema: Mapping[str, Any]
    read: Callable[[Any], Any]
    write: Callable[[Any, Any], None]


def _read_timestamp(message: Any) -> str:
    whole = (_EPOCH + timedelta(seconds=message.seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{message.nanos:09d}".rstrip("0") + "Z" if message.nanos else f"{whole}Z"


def _write_timestamp(message: Any, text: Any) -> None:
    moment = datetime.fromisoformat(str(text))
    if moment.tzinfo is None:
        raise ValueError("a time needs its zone, such as 2026-01-02T03:04:05Z")
    since = moment - _EPOCH
    message.seconds = since.days * 86400 + since.seconds
    message.nanos = since.microseconds * 1000


def _read_duration(message: Any) -> str:
    sign = "-" if message.seconds < 0 or message.nanos < 0 else ""
    part = f".{abs(message.nanos):09d}".rstrip("0") if message.nanos else ""
    return f"{sign}{abs(message.seconds)}{part}s"


def _write_duration(message: Any, text: Any) -> None:
    found = _DURATION.fullmatch(str(text))
    if found is None:
        raise ValueError("a duration is a number of seconds followed by s, such as 90s or 1.5s")
    sign = -1 if found["sign"] else 1
    message.seconds = sign * int(found["whole"])
    message.nanos = sign * int((found["part"] or "").ljust(9, "0"))


def _read_address(message: Any) -> str:
    return str(ipaddress.ip_address(message.ip)) if message.ip else ""


def _write_address(message: Any, text: Any) -> None:
    message.ip = ipaddress.ip_address(str(text)).packed


def _read_prefix(message: Any) -> str:
    return f"{_read_address(message)}/{message.prefix_length}" if message.ip else ""


def _write_prefix(message: Any, text: Any) -> None:
    interface = ipaddress.ip_interface(str(text))
    message.ip = interface.ip.packed
    message.prefix_length = interface.network.prefixlen


def _read_any(message: Any) -> dict[str, str]:
    return {"type_url": message.type_url, "value": base64.b64encode(message.value).decode()}


def _write_any(message: Any, value: Any) -> None:
    message.type_url = str(value["type_url"])
    message.value = base64.b64decode(value["value"])


def _read_json(message: Any) -> Any:
    kind = message.WhichOneof("kind")
    if kind == "struct_value":
        return _read_struct(message.struct_value)
    if kind == "list_value":
        return [_read_json(item) for item in message.list_value.values]
    number = getattr(message, kind) if kind not in (None, "null_value") else None
    return int(number) if isinstance(number, float) and number.is_integer() else number


def _read_struct(message: Any) -> dict[str, Any]:
    return {name: _read_json(value) for name, value in message.fields.items()}


def _write_struct(message: Any, value: Any) -> None:
    if not isinstance(value, Mapping):
        raise ValueError("expected an object")  # noqa: TRY004 - callers add the path to a ValueError
    message.update(value)


_TEXT: Final = {"type": "string"}
_ADDRESS: Final = {"type": "string", "format": "ip"}
_OPEN: Final = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_ANY: Final = {
    "type": "object",
    "properties": {"type_url": _TEXT, "value": _TEXT},
    "required": ["type_url", "value"],
}

WELL_KNOWN: Final[Mapping[str, WellKnown]] = {
    "google.protobuf.Timestamp": WellKnown(
        {"type": "string", "format": "date-time"}, _read_timestamp, _write_timestamp
    ),
    "google.protobuf.Duration": WellKnown(_TEXT, _read_duration, _write_duration),
    "google.protobuf.Any": WellKnown(_ANY, _read_any, _write_any),
    "google.protobuf.Struct": WellKnown(_OPEN, _read_struct, _write_struct),
    "common.NetIP": WellKnown(_ADDRESS, _read_address, _write_address),
    "common.NetIPPrefix": WellKnown(_TEXT, _read_prefix, _write_prefix),
}
"""Full name of a message -> how it is written as a value."""
