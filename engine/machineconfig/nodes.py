"""A configuration text as a tree of nodes, before anything knows what its keys mean.

Promises: several documents, anchors and merge keys as Talos accepts them, no duplicate keys, a
bound on what aliases may unfold to, and plain scalars read the way Talos reads them (talos-config-rules
30, 38, 39: `yes` is a text, `0644` a number, a date is neither). Never knows a kind or a field.
Neighbours: `decode` turns nodes into typed values, `emit` writes values as text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeAlias

from engine.base.yamltext import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    YAMLError,
    parse_events,
)
from engine.machineconfig.errors import ConfigError

MAX_NODES: Final = 200_000
MAX_DEPTH: Final = 100

_INT = re.compile(r"[-+]?(0[bB][01_]+|0[oO]?[0-7_]+|0[xX][0-9a-fA-F_]+|0|[1-9][0-9_]*)")
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


_NULLS: Final = frozenset(word for word, meaning in _WORDS.items() if meaning is None)
_SPECIAL: Final = _NULLS | {"<<"}


class Plain(str):
    """A text that is written without quotes: a file mode (`0o644`), a date."""

    __slots__ = ()


class Scalar(NamedTuple):
    """A leaf as written; `plain` when it carries no quotes and no string tag."""

    text: str
    plain: bool
    line: int = 0


class MapNode(NamedTuple):
    """A mapping in the order of the text."""

    entries: tuple[tuple[Scalar, Node], ...]
    line: int = 0

    def get(self, key: str) -> Node | None:
        """The node under `key`, or None."""
        return next((node for name, node in self.entries if name.text == key), None)


class ListNode(NamedTuple):
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
    return isinstance(node, Scalar) and node.plain and node.text in _NULLS


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
        self._events = parse_events(text)
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._left = MAX_NODES

    def documents(self) -> list[Node]:
        found: list[Node] = []
        try:
            for event in self._events:
                if isinstance(event, DocumentStartEvent):
                    self._anchors.clear()
                    found.append(self._node(next(self._events), 0))
        except YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            problem = getattr(error, "problem", None) or "the text is not YAML"
            raise ConfigError("Syntax", str(problem), line=mark.line + 1 if mark else 0) from None
        return found

    def _node(self, event: Any, depth: int) -> Node:
        kind, before = type(event), self._left
        self._left = before - 1
        if before <= 0:
            self._spend(0, event)
        node: Node
        if kind is ScalarEvent:
            node = Scalar(event.value, _is_plain(event), event.start_mark.line + 1)
        elif depth > MAX_DEPTH:
            raise ConfigError("Syntax", f"nested deeper than {MAX_DEPTH} levels", line=_line(event))
        elif kind is AliasEvent:
            node, weight = self._anchor(event)
            self._spend(weight, event)
            return node
        elif kind is SequenceStartEvent:
            node = ListNode(self._items(depth + 1), _line(event))
        else:
            node = MapNode(self._entries(depth + 1), _line(event))
        if event.anchor:
            self._anchors[event.anchor] = node, before - self._left
        return node

    def _anchor(self, event: Any) -> tuple[Node, int]:
        known = self._anchors.get(event.anchor)
        if known is None:
            raise ConfigError("Syntax", f"unknown anchor {event.anchor!r}", line=_line(event))
        return known

    def _spend(self, nodes: int, event: Any) -> None:
        self._left -= nodes
        if self._left < 0:
            raise ConfigError("Syntax", f"the text unfolds to more than {MAX_NODES} nodes", line=_line(event))

    def _items(self, depth: int) -> tuple[Node, ...]:
        found: list[Node] = []
        for event in self._events:
            if type(event) is SequenceEndEvent:
                break
            found.append(self._node(event, depth))
        return tuple(found)

    def _entries(self, depth: int) -> tuple[tuple[Scalar, Node], ...]:
        found: dict[str, tuple[Scalar, Node]] = {}
        merged: list[tuple[Scalar, Node]] = []
        key: Node | None = None
        for event in self._events:
            kind = type(event)
            # Nearly all of a text are leaves of mappings; calls for each would cost a third of the time.
            if kind is ScalarEvent and event.anchor is None and self._left > 0:
                self._left -= 1
                plain = event.implicit[0] or _is_plain(event)
                node: Node = tuple.__new__(Scalar, (event.value, plain, event.start_mark.line + 1))
            elif kind is MappingEndEvent:
                break
            else:
                node = self._node(event, depth)
            if key is None:
                key = node
                continue
            if type(key) is Scalar and key.text not in found and not (key.plain and key.text in _SPECIAL):
                found[key.text] = key, node
            else:
                _put(found, merged, key, node)
            key = None
        if not merged:
            return tuple(found.values())
        inherited = {key.text: (key, value) for key, value in reversed(merged) if key.text not in found}
        return (*reversed(inherited.values()), *found.values())


def _put(
    found: dict[str, tuple[Scalar, Node]], merged: list[tuple[Scalar, Node]], key: Node, value: Node
) -> None:
    if not isinstance(key, Scalar):
        raise ConfigError("Syntax", "a key must be a text, not a list or mapping", line=key.line)
    text = key.text
    if text in found:
        message = f"the key {text!r} is already given in line {found[text][0].line}"
        raise ConfigError("Duplicate", message, line=key.line)
    if text == "<<":
        merged.extend(_merge_entries(value, key.line))


def _is_plain(event: Any) -> bool:
    return bool(event.implicit[0]) or (event.tag or "").startswith("tag:yaml.org,2002:null")


def _merge_entries(value: Node, line: int) -> Iterator[tuple[Scalar, Node]]:
    sources = value.items if isinstance(value, ListNode) else (value,)
    for source in sources:
        if not isinstance(source, MapNode):
            raise ConfigError("Syntax", "a merge key (<<) needs a mapping", line=line)
        yield from source.entries


def _line(event: Any) -> int:
    line: int = event.start_mark.line
    return line + 1
