"""The string formats that kube-apiserver checks in custom resources; unknown formats pass."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import uuid
from collections.abc import Callable
from datetime import date, datetime
from urllib.parse import urlsplit

import re2


def conforms(text: str, name: str) -> bool:
    """Whether `text` is of the named format, for example date-time, ipv4, byte."""
    check = _CHECKS.get(name.replace("_", "-"))
    if check is None:
        return True
    try:
        return check(text)
    except (ValueError, binascii.Error):
        return False


def matches(text: str, pattern: str) -> bool:
    """Whether an RE2 pattern occurs in `text`, as Go's regexp would say."""
    return re2.search(pattern, text) is not None


def is_pattern(text: str) -> bool:
    """Whether RE2 can read the pattern."""
    try:
        re2.compile(text)
    except re2.error:
        return False
    return True


def _date_time(text: str) -> bool:
    if not matches(text, r"^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$"):
        return False
    return bool(datetime.fromisoformat(text[:10] + "T" + text[11:19]))


def _date(text: str) -> bool:
    return len(text) == 10 and bool(date.fromisoformat(text))


def _byte(text: str) -> bool:
    base64.b64decode(text, validate=True)
    return True


def _address(version: int) -> Callable[[str], bool]:
    return lambda text: ipaddress.ip_address(text).version == version


def _cidr(text: str) -> bool:
    return "/" in text and bool(ipaddress.ip_interface(text))


def _uri(text: str) -> bool:
    return bool(urlsplit(text).scheme)


def _pattern(pattern: str) -> Callable[[str], bool]:
    return lambda text: matches(text, pattern)


_CHECKS: dict[str, Callable[[str], bool]] = {
    "date-time": _date_time,
    "date": _date,
    "byte": _byte,
    "ipv4": _address(4),
    "ipv6": _address(6),
    "cidr": _cidr,
    "uri": _uri,
    "uuid": lambda text: bool(uuid.UUID(text)),
    "email": _pattern(r"^[^@\s]+@[^@\s]+$"),
    "hostname": _pattern(r"^([a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)(\.[a-zA-Z0-9-]{1,63})*\.?$"),
    "mac": _pattern(r"^([0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}$"),
    "duration": _pattern(r"^([+-]?(\d+(\.\d+)?\s*(ns|us|µs|ms|s|m|h|d|w))+|0)$"),
}
