"""A configuration text as a tree of nodes, before anything knows what its keys mean.

Promises: several documents, anchors and merge keys as Talos accepts them, no duplicate keys, a
bound on what aliases may unfold to, and plain scalars read the way Talos reads them (talos-config-rules
30, 38, 39: `yes` is a text, `0644` a number, a date is neither). Never knows a kind or a field.
Neighbours: `decode` turns nodes into typed values, `emit` writes values as text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, TypeAlias

from engine.base import yamltext
from engine.machineconfig.errors import ConfigError

MAX_NODES: Final = 200_000
MAX_DEPTH: Final = 100

_INT = re.compile(r"[-+]?(0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_DATE = re.compile(r"\d{4}-\d\d?-\d\d?([Tt ].*)?")
_WORDS: Final[Mapping[str, Any]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}


class Plain(str):
    """A text that is written without quotes: a file mode (`0o644`), a date."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Scalar:
    """A leaf as written; `plain` when it carries no quotes and no string tag."""

    text: str
    plain: bool
    line: int = 0


@dataclass(frozen=True, slots=True)
class MapNode:
    """A mapping in the order of the text."""

    entries: tuple[tuple[Scalar, Node], ...]
    line: int = 0

    def get(self, key: str) -> Node | None:
        """The node under `key`, or None."""
        return next((node for name, node in self.entries if name.text == key), None)


@dataclass(frozen=True, slots=True)
class ListNode:
    """A sequence."""

    items: tuple[Node, ...]
    line: int = 0


Node: TypeAlias = Scalar | MapNode | ListNode


def parse(text: str) -> list[Node]:
    """The documents of a text, empty ones included as a plain empty scalar.

    Raises ConfigError (Syntax, Duplicate) with the line of the first mistake.
    """
    return _Reader(text).documents()


def from_value(value: Any) -> Node:
    """The node of a JSON value, as if it had been written with every text in quotes."""
    if isinstance(value, Mapping):
        return MapNode(tuple((Scalar(str(key), False), from_value(item)) for key, item in value.items()))
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ListNode(tuple(from_value(item) for item in value))
    if isinstance(value, str):
        return Scalar(value, isinstance(value, Plain))
    if isinstance(value, bool) or value is None:
        return Scalar({None: "null", True: "true", False: "false"}[value], True)
    return Scalar(repr(value), True)


def to_value(node: Node) -> Any:
    """The node as JSON values; a plain date stays a `Plain` text."""
    if isinstance(node, Scalar):
        return resolve(node.text) if node.plain else node.text
    if isinstance(node, ListNode):
        return [to_value(item) for item in node.items]
    return {key.text: to_value(item) for key, item in node.entries}


def is_null(node: Node) -> bool:
    """Whether a node says null, or nothing at all."""
    return isinstance(node, Scalar) and node.plain and resolve(node.text) is None


@lru_cache(maxsize=4096)
def resolve(text: str) -> None | bool | int | float | str:
    """What a scalar without quotes means."""
    if text in _WORDS:
        found: None | bool | float = _WORDS[text]
        return found
    if _INT.fullmatch(text):
        digits = text.replace("_", "")
        sign, digits = (-1, digits[1:]) if digits[0] == "-" else (1, digits.lstrip("+"))
        base = 0 if digits[:2].lower() in ("0x", "0o", "0b") else 8 if digits[0] == "0" else 10
        return sign * int(digits, base)
    if _FLOAT.fullmatch(text):
        return float(text)
    return Plain(text) if _DATE.fullmatch(text) else text


class _Reader:
    """Builds the nodes of one text from the parser's events."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._count = 0

    def documents(self) -> list[Node]:
        found: list[Node] = []
        events = yamltext.parse_events(self._text)
        try:
            for event in events:
                if isinstance(event, yamltext.DocumentStartEvent):
                    self._anchors.clear()
                    found.append(self._node(next(events), events, 0))
        except yamltext.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            problem = getattr(error, "problem", None) or "the text is not YAML"
            raise ConfigError("Syntax", str(problem), line=mark.line + 1 if mark else 0) from None
        return found

    def _node(self, event: Any, events: Iterator[Any], depth: int) -> Node:
        before = self._count
        self._spend(1, event)
        if depth > MAX_DEPTH:
            raise ConfigError("Syntax", f"nested deeper than {MAX_DEPTH} levels", line=_line(event))
        node: Node
        if isinstance(event, yamltext.ScalarEvent):
            plain = bool(event.implicit[0]) or (event.tag or "").startswith("tag:yaml.org,2002:null")
            node = Scalar(event.value, plain, _line(event))
        elif isinstance(event, yamltext.AliasEvent):
            node, weight = self._anchor(event)
            self._spend(weight, event)
            return node
        elif isinstance(event, yamltext.SequenceStartEvent):
            node = ListNode(tuple(self._items(events, depth)), _line(event))
        else:
            node = MapNode(self._entries(events, depth), _line(event))
        if event.anchor:
            self._anchors[event.anchor] = node, self._count - before
        return node

    def _anchor(self, event: Any) -> tuple[Node, int]:
        known = self._anchors.get(event.anchor)
        if known is None:
            raise ConfigError("Syntax", f"unknown anchor {event.anchor!r}", line=_line(event))
        return known

    def _spend(self, nodes: int, event: Any) -> None:
        self._count += nodes
        if self._count > MAX_NODES:
            raise ConfigError("Syntax", f"the text unfolds to more than {MAX_NODES} nodes", line=_line(event))

    def _items(self, events: Iterator[Any], depth: int) -> Iterator[Node]:
        for event in events:
            if isinstance(event, yamltext.SequenceEndEvent):
                return
            yield self._node(event, events, depth + 1)

    def _entries(self, events: Iterator[Any], depth: int) -> tuple[tuple[Scalar, Node], ...]:
        found: dict[str, tuple[Scalar, Node]] = {}
        merged: list[tuple[Scalar, Node]] = []
        for event in events:
            if isinstance(event, yamltext.MappingEndEvent):
                break
            key = self._node(event, events, depth + 1)
            value = self._node(next(events), events, depth + 1)
            if not isinstance(key, Scalar):
                raise ConfigError("Syntax", "a key must be a text, not a list or mapping", line=_line(event))
            if key.plain and key.text == "<<":
                merged.extend(_merge_entries(value, key.line))
            elif key.text in found:
                first = found[key.text][0].line
                message = f"the key {key.text!r} is already given in line {first}"
                raise ConfigError("Duplicate", message, line=key.line)
            elif not is_null(key):
                found[key.text] = key, value
        inherited = {key.text: (key, value) for key, value in reversed(merged) if key.text not in found}
        return (*reversed(inherited.values()), *found.values())


def _merge_entries(value: Node, line: int) -> Iterator[tuple[Scalar, Node]]:
    sources = value.items if isinstance(value, ListNode) else (value,)
    for source in sources:
        if not isinstance(source, MapNode):
            raise ConfigError("Syntax", "a merge key (<<) needs a mapping", line=line)
        yield from source.entries


def _line(event: Any) -> int:
    line: int = event.start_mark.line
    return line + 1
