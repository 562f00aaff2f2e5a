"""Textual forms inside a configuration: durations, sizes, addresses, URLs.

Each function checks a text and gives it back in the form in which Talos writes it; ValueError says
what is wrong, without the text. Pure. Neighbour: `scalars` makes leaf types of them.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final
from urllib.parse import SplitResult, quote, urlsplit, urlunsplit

_UNITS_NS: Final = {
    "ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9,
}  # fmt: skip
_DURATION = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*([kmgtpe]?i?b?)", re.IGNORECASE)
_NO_SCHEME = re.compile(r"(?![A-Za-z][A-Za-z0-9+.-]*:)[^/?#]*:")
_BAD_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2})")
_BYTES = re.compile(r"([0-9a-f]{2})+")


def nanoseconds(text: str) -> int:
    """A Go duration (`1h2m`, `1.5s`, `0`) in nanoseconds."""
    body = text.lstrip("+-") if text[:1] in "+-" else text
    if body == "0":
        return 0
    parts = _DURATION.findall(body)
    if not parts or "".join(number + unit for number, unit in parts) != body:
        raise ValueError("not a duration such as 2m30s")
    total = sum(round(float(number) * _UNITS_NS[unit]) for number, unit in parts)
    return -total if text[0] == "-" else total


def duration(text: str) -> str:
    """A duration in Go's own form: `120s` becomes `2m0s`."""
    total = nanoseconds(text)
    sign, total = ("-", -total) if total < 0 else ("", total)
    if total < 10**9:
        for unit, size in (("ms", 10**6), ("µs", 10**3), ("ns", 1)):
            if total >= size:
                return f"{sign}{_decimal(total, size)}{unit}"
        return "0s"
    minutes, rest = divmod(total, 60 * 10**9)
    hours, minutes = divmod(minutes, 60)
    seconds = _decimal(rest, 10**9)
    head = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{sign}{head}{seconds}s"


def _decimal(number: int, size: int) -> str:
    whole, rest = divmod(number, size)
    digits = f"{rest:0{len(str(size)) - 1}d}".rstrip("0") if size > 1 else ""
    return f"{whole}.{digits}" if digits else str(whole)


def bytes_of(text: str) -> int:
    """A size (`100GB`, `10 GiB`, `1024`) in bytes."""
    found = _SIZE.fullmatch(text.rstrip())
    if not found:
        raise ValueError("not a size such as 100GB or 10GiB")
    unit = found[2].lower().removesuffix("b")
    base = 1024 if unit.endswith("i") else 1000
    total = int(float(found[1]) * base ** ("kmgtpe".index(unit[0]) + 1 if unit[:1] in tuple("kmgtpe") else 0))
    if total >= 2**64:
        raise ValueError("a size above 16 EiB")
    return total


def byte_size(text: str) -> str:
    """A size, kept as written."""
    bytes_of(text)
    return text


def size(text: str) -> str:
    """A size or a percentage, kept as written."""
    if text.endswith("%"):
        if not re.fullmatch(r"[0-9]{1,3}%", text) or int(text[:-1]) > 100:
            raise ValueError("not a percentage between 0% and 100%")
        return text
    return byte_size(text)


def merge_sizes(old: str, new: str) -> str:
    """The new size over the old one; a number of bytes is kept beside a percentage, and is what counts (rule 20)."""
    return old if new.endswith("%") and not old.endswith("%") else new


def disk_size(text: str) -> int | str:
    """A partition size: `100 MB` where that says all, else a number of bytes."""
    total = bytes_of(text)
    number, unit = float(total), 0
    while number >= 1000 and unit < 6:
        number, unit = number / 1000, unit + 1
    rounded = f"{number:.1f}".rstrip("0").rstrip(".") if number < 10 else f"{number:.0f}"
    short = f"{rounded} {('B', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB')[unit]}"
    return short if total and bytes_of(short) == total else total


def size_matcher(text: str) -> str:
    """A size with an optional comparison before it: `>= 100GB`."""
    found = re.fullmatch(r"\s*(<=|>=|==|<|>)?\s*(.*)", text)
    if not found or not found[2]:
        raise ValueError("not a disk size such as >= 100GB")
    bytes_of(found[2])
    return text


def hardware_address(text: str) -> str:
    """A hardware address, in lower case."""
    digits = text.lower().replace(":", "")
    if not _BYTES.fullmatch(digits):
        raise ValueError("not a hardware address such as aa:bb:cc:00:11:22")
    return ":".join(digits[index : index + 2] for index in range(0, len(digits), 2))


def address(text: str) -> str:
    """An IP address."""
    return str(ipaddress.ip_address(text))


def address_port(text: str) -> str:
    """An IP address with a port."""
    host, _, port = text.rpartition(":")
    if not port.isdigit() or int(port) > 65535:
        raise ValueError("not an address with a port such as 10.0.0.1:51820")
    plain = address(host.strip("[]"))
    return f"[{plain}]:{int(port)}" if ":" in plain else f"{plain}:{int(port)}"


def prefix(text: str) -> str:
    """An address with a prefix length; bits of the host stay."""
    host, slash, bits = text.partition("/")
    plain = ipaddress.ip_address(host)
    if not slash or not bits.isdigit() or int(bits) > plain.max_prefixlen:
        raise ValueError("not an address with a prefix length such as 10.0.0.1/24")
    return f"{plain}/{int(bits)}"


def url(text: str) -> str:
    """A URL, kept as written but for what has to be escaped in its path."""
    if any(char < " " or char == "\x7f" for char in text):
        raise ValueError("not a URL: it holds a control character")
    if _NO_SCHEME.match(text):
        raise ValueError("not a URL: what stands before the first colon is no scheme")
    parts = urlsplit(text)
    if _BAD_ESCAPE.search(text.partition("?")[0]):
        raise ValueError("not a URL: % is not followed by two hexadecimal digits")
    if parts.netloc and re.search(r"[<>\" ]", parts.netloc):
        raise ValueError("not a URL: the host holds a character that is not allowed")
    _ = parts.port
    if not parts.netloc and not parts.path and parts.scheme:
        text = text.replace("://", ":", 1)
    escaped = quote(parts.path, safe="/%:@!$&'()*+,;=~-._[]")
    return text if escaped == parts.path else urlunsplit(parts._replace(path=escaped))


def merge_urls(old: str, new: str) -> str:
    """The new URL over the old one, part by part: what the new one leaves empty stays (rule 19)."""
    before, after = urlsplit(old), urlsplit(new)
    user, _, host = after.netloc.rpartition("@")
    old_user, _, old_host = before.netloc.rpartition("@")
    user, host = user or old_user, host or old_host
    return urlunsplit(
        SplitResult(
            after.scheme or before.scheme,
            f"{user}@{host}" if user else host,
            after.path or before.path,
            after.query or before.query,
            after.fragment or before.fragment,
        )
    )
