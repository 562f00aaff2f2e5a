"""Leaf types of Talos's configurations: how each is read, kept and written.

A value is kept in the form in which it is written (a duration as `2m30s`, bytes as base64), so that
writing needs no second step. `read` raises ConfigError (WrongType, InvalidValue) without a path; the
caller adds it. Never repeats a value that could be a secret. Neighbours: `texts` (units and
addresses), `model`.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from engine.machineconfig import texts
from engine.machineconfig.errors import ConfigError
from engine.machineconfig.nodes import ListNode, Node, Plain, Scalar, is_null, resolve

Overwrite = Literal["set", "present", "given", "always"]
"""When a patch overwrites: `set` by anything but the zero value, `present` by that too where a zero value can be
told from none (maps), `given` by anything written, `always` even by its absence."""


@dataclass(frozen=True, slots=True)
class ScalarType:
    """A leaf type. `zero` is what an absent field is written as, when it is written at all."""

    name: str
    read: Callable[[Node], Any]
    zero: Any
    overwrite: Overwrite = "set"
    merge: Callable[[Any, Any], Any] | None = None


def wrong_type(node: Node, wanted: str) -> ConfigError:
    """The error for a node of another form than `wanted`."""
    found = type(node).__name__.removesuffix("Node").lower()
    if isinstance(node, Scalar):
        meaning = resolve(node.text) if node.plain else node.text
        words = {bool: "a boolean", int: "a number", float: "a number with a fraction", type(None): "null"}
        found = words.get(type(meaning), "a text")
    found = {"map": "a mapping", "list": "a list"}.get(found, found)
    return ConfigError("WrongType", f"{wanted} is needed here, not {found}", line=node.line)


def enumeration(name: str, values: tuple[str, ...], aliases: Mapping[str, str]) -> ScalarType:
    """A type whose values are words; `aliases` are other texts that stand for some of them.

    The first is the zero value, but for Protocol, which has none.
    """

    def read(node: Node) -> str:
        text = aliases.get(_text(node), _text(node))
        if text not in values:
            shown = ", ".join(values[:12])
            raise ConfigError("InvalidValue", f"not one of {shown} ({name})", line=node.line)
        return text

    return ScalarType(name, read, "Protocol(0)" if name == "Protocol" else values[0])


def _scalar(node: Node, wanted: str) -> Scalar:
    if not isinstance(node, Scalar):
        raise wrong_type(node, wanted)
    return node


def _text(node: Node) -> str:
    return node.text if type(node) is Scalar else _scalar(node, "a text").text


_BOOLEANS: Final = {
    **dict.fromkeys(("true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON", "y", "Y"), True),
    **dict.fromkeys(("false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF", "n", "N"), False),
}


def _boolean(node: Node) -> bool:
    scalar = _scalar(node, "true or false")
    if not scalar.plain or scalar.text not in _BOOLEANS:
        raise wrong_type(node, "true or false (without quotes)")
    return _BOOLEANS[scalar.text]


def _number(low: int, high: int) -> Callable[[Node], int]:
    def read(node: Node) -> int:
        scalar = _scalar(node, "a number")
        meaning = resolve(scalar.text) if scalar.plain else None
        if isinstance(meaning, float) and meaning.is_integer():
            meaning = int(meaning)
        if isinstance(meaning, bool) or not isinstance(meaning, int):
            raise wrong_type(node, "a whole number (without quotes)")
        if not low <= meaning <= high:
            raise ConfigError("InvalidValue", f"not between {low} and {high}", line=node.line)
        return meaning

    return read


def _file_mode(node: Node) -> Plain:
    return Plain(f"0o{_number(0, 2**32 - 1)(node):o}")


def _bytes(node: Node) -> str:
    text = _text(node)
    try:
        data = base64.b64decode(text.replace("\n", "").replace("\r", ""), validate=True)
    except (binascii.Error, ValueError):
        raise ConfigError("InvalidValue", "not base64", line=node.line) from None
    return base64.b64encode(data).decode()


def _via(convert: Callable[[str], Any]) -> Callable[[Node], Any]:
    """A reader for a textual form; `convert` raises ValueError with a text for people."""

    def read(node: Node) -> Any:
        text = _text(node)
        try:
            return convert(text) if text else ""
        except ValueError as error:
            raise ConfigError("InvalidValue", str(error), line=node.line) from None

    return read


def _size_matcher(node: Node) -> Any:
    if not _text(node):
        raise ConfigError("InvalidValue", "not a disk size such as >= 100GB", line=node.line)
    return _via(texts.size_matcher)(node)


def _duration(node: Node) -> str:
    scalar = _scalar(node, "a duration such as 2m30s")
    meaning = resolve(scalar.text) if scalar.plain else scalar.text
    if not isinstance(meaning, str) and (type(meaning), meaning) != (int, 0):  # nothing else needs no unit
        raise wrong_type(node, "a duration such as 2m30s")
    try:
        return texts.duration(scalar.text)
    except ValueError as error:
        raise ConfigError("InvalidValue", str(error), line=node.line) from None


def _port_range(node: Node) -> int | str:
    scalar = _scalar(node, "a port or a range of ports")
    meaning = resolve(scalar.text) if scalar.plain else scalar.text
    if isinstance(meaning, float) and meaning.is_integer():
        meaning = int(meaning)
    if isinstance(meaning, str) and meaning.isdigit():
        raise wrong_type(node, "a port (without quotes) or a range of ports")
    found = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", str(meaning))
    if not found or any(int(part) > 65535 for part in found.groups() if part):
        raise ConfigError("InvalidValue", "not a port (80) or a range of ports (80-90)", line=node.line)
    low, high = int(found[1]), int(found[2] or found[1])
    return low if low == high else f"{low}-{high}"


def _argument(node: Node) -> Any:
    if isinstance(node, ListNode):
        return [_text(item) for item in node.items if not is_null(item)]
    return _scalar(node, "a text or a list of texts").text or None


_KINDS: Final = (
    ScalarType("string", _text, ""),
    ScalarType("bool", _boolean, False, "always"),
    ScalarType("bytes", _bytes, "", "always"),
    ScalarType("time.Duration", _duration, "0s"),
    ScalarType("v1alpha1.Base64Bytes", _bytes, "", "present"),
    ScalarType("v1alpha1.FileMode", _file_mode, Plain("0o0")),
    ScalarType("v1alpha1.ArgValue", _argument, None, "present"),
    ScalarType("v1alpha1.DiskSize", _via(texts.disk_size), 0),
    ScalarType("v1alpha1.InstallDiskSizeMatcher", _size_matcher, "", "present"),
    ScalarType("v1alpha1.InstallDiskType", _text, ""),
    ScalarType("v1alpha1.Endpoint", _via(texts.url), "", "present", texts.merge_urls),
    ScalarType("meta.URL", _via(texts.url), "", "present", texts.merge_urls),
    ScalarType("block.ByteSize", _via(texts.byte_size), "", "always"),
    ScalarType("block.Size", _via(texts.size), "", "set", texts.merge_sizes),
    ScalarType("cel.Expression", _text, "", "always"),
    ScalarType("network.PortRange", _port_range, 0),
    ScalarType("nethelpers.HardwareAddr", _via(texts.hardware_address), "", "given"),
    ScalarType("netip.Addr", _via(texts.address), ""),
    ScalarType("netip.AddrPort", _via(texts.address_port), ""),
    ScalarType("netip.Prefix", _via(texts.prefix), ""),
    ScalarType("network.Addr", _via(texts.address), ""),
    ScalarType("network.AddrPort", _via(texts.address_port), ""),
    ScalarType("network.Prefix", _via(texts.prefix), ""),
    ScalarType("int", _number(-(2**63), 2**63 - 1), 0),
    ScalarType("int64", _number(-(2**63), 2**63 - 1), 0),
    ScalarType("uint", _number(0, 2**64 - 1), 0),
    *(ScalarType(f"uint{bits}", _number(0, 2**bits - 1), 0) for bits in (8, 16, 32, 64)),
)

SCALARS: Final[Mapping[str, ScalarType]] = {kind.name: kind for kind in _KINDS}
