"""Safe YAML as nodes that know where they stand, for files that people write.

Promises: YAML 1.2 core scalars (`on`, `no` and `1:30` are text, `010` is ten), no aliases, anchors
or tags, no duplicate keys, text keys only, bounded size and depth, and every mistake of a file at
once, each with its place. Never builds anything but JSON values. Neighbours: `yamltext` owns the
parser, `engine.ruleset` turns problems into its own errors.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from engine.base import yamltext
from engine.base.errors import EngineError
from engine.base.values import Value

MAX_BYTES: Final = 256 * 1024
MAX_DEPTH: Final = 32

_INT = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: Final[Mapping[str, bool | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


@dataclass(frozen=True, slots=True, eq=False)
class YamlSource:
    """The text a node came from: its name for messages and its lines."""

    name: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ScalarNode:
    """A leaf. `value` is resolved, `text` is as written; `style` is "" for a plain scalar."""

    source: YamlSource
    line: int
    column: int
    value: None | bool | int | float | str
    text: str
    style: str
    end_line: int
    end_column: int


@dataclass(frozen=True, slots=True, eq=False)
class MapNode:
    """A mapping in the order of the file. `keys` tells where each key stands."""

    source: YamlSource
    line: int
    column: int
    keys: Mapping[str, ScalarNode]
    values: Mapping[str, Node]


@dataclass(frozen=True, slots=True, eq=False)
class ListNode:
    """A sequence."""

    source: YamlSource
    line: int
    column: int
    items: tuple[Node, ...]


Node: TypeAlias = ScalarNode | MapNode | ListNode


@dataclass(frozen=True, slots=True)
class YamlProblem:
    """One mistake; line and column count from 1."""

    line: int
    column: int
    message: str
    hint: str = ""


class YamlProblems(EngineError):
    """A file cannot be taken as it is. `problems` holds every mistake, `source` the text."""

    def __init__(self, source: YamlSource, problems: tuple[YamlProblem, ...]) -> None:
        super().__init__("; ".join(f"{source.name}:{p.line}:{p.column}: {p.message}" for p in problems))
        self.source = source
        self.problems = problems


def parse_documents(text: str, name: str, *, max_bytes: int = MAX_BYTES) -> tuple[Node, ...]:
    """Every document of `text`. Raises YamlProblems naming all mistakes of it."""
    source = YamlSource(name, tuple(text.split("\n")))
    size = len(text.encode("utf-8", "replace"))
    if size > max_bytes:
        problem = YamlProblem(1, 1, f"the file has {size} bytes; at most {max_bytes} are read", "split it")
        raise YamlProblems(source, (problem,))
    return _Reader(source).documents(text)


def parse_document(text: str, name: str) -> Node:
    """The only document of `text`. Raises YamlProblems, also when there are none or several."""
    documents = parse_documents(text, name)
    if len(documents) == 1:
        return documents[0]
    place = documents[1] if documents else None
    line, column = (place.line, place.column) if place else (1, 1)
    what = "a second document starts here" if place else "the file is empty"
    source = YamlSource(name, tuple(text.split("\n")))
    raise YamlProblems(source, (YamlProblem(line, column, what, "one file holds one document"),))


def plain(node: Node) -> Value:
    """The JSON value of a node, positions gone."""
    if isinstance(node, MapNode):
        return {key: plain(value) for key, value in node.values.items()}
    if isinstance(node, ListNode):
        return [plain(item) for item in node.items]
    return node.value


def descend(node: Node, path: tuple[str | int, ...]) -> Node:
    """The node at `path`, or the deepest one on the way there that exists."""
    for step in path:
        if isinstance(node, MapNode) and step in node.values:
            node = node.values[str(step)]
        elif isinstance(node, ListNode) and isinstance(step, int) and step < len(node.items):
            node = node.items[step]
        else:
            break
    return node


def position_in(node: ScalarNode, offset: int) -> tuple[int, int]:
    """Line and column in the file of character `offset` of a scalar's text.

    Follows quoting, escapes and folded lines; near the place when an escape hides it.
    """
    if node.style in "|>" and node.style:
        return _position_in_block(node, offset)
    line, column = node.line - 1, node.column - 1 + (1 if node.style else 0)
    lines = node.source.lines
    for character in node.text[:offset]:
        while column >= len(lines[line]) and line < node.end_line - 1:
            line, column = line + 1, _indent(lines[line + 1])
            if character.isspace():
                break
        else:
            column += _width(lines[line][column : column + 2], character, node.style)
    if column >= len(lines[line]) and line < node.end_line - 1:
        line, column = line + 1, _indent(lines[line + 1])
    return line + 1, column + 1


def _position_in_block(node: ScalarNode, offset: int) -> tuple[int, int]:
    lines = node.source.lines
    line = first = node.line
    while first < len(lines) - 1 and not lines[first].strip():
        first += 1
    indent = column = _indent(lines[first])
    for _ in node.text[:offset]:
        if column < len(lines[line]):
            column += 1
        elif line < len(lines) - 1:
            line, column = line + 1, min(indent, len(lines[line + 1]))
    return line + 1, column + 1


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _width(source: str, character: str, style: str) -> int:
    if style == '"' and source[:1] == "\\":
        return 2
    return 2 if style == "'" and character == "'" else 1


class _Reader:
    """Events of the C parser to nodes, mistakes collected on the way."""

    def __init__(self, source: YamlSource) -> None:
        self._source = source
        self._problems: list[YamlProblem] = []
        self._events: Iterator[Any] = iter(())

    def documents(self, text: str) -> tuple[Node, ...]:
        found: list[Node] = []
        self._events = yamltext.parse_events(text)
        try:
            for event in self._events:
                if isinstance(event, yamltext.DocumentStartEvent):
                    found += [self._node(next(self._events), 0)]
        except yamltext.YAMLError as error:
            self._problems.append(self._syntax_problem(error))
        except RecursionError:
            self._problems.append(YamlProblem(1, 1, "nested too deeply"))
        if self._problems:
            raise YamlProblems(self._source, tuple(self._problems))
        return tuple(found)

    def _node(self, event: Any, depth: int) -> Node:
        self._refuse_extras(event)
        if isinstance(event, yamltext.ScalarEvent):
            return self._scalar(event)
        if isinstance(event, yamltext.MappingStartEvent):
            return self._map(event, depth + 1)
        if isinstance(event, yamltext.SequenceStartEvent):
            return self._list(event, depth + 1)
        line, column = _start(event)
        return ScalarNode(self._source, line, column, None, "", "", line, column)

    def _refuse_extras(self, event: Any) -> None:
        if isinstance(event, yamltext.AliasEvent):
            self._problem(
                event,
                f"aliases such as *{event.anchor} are not allowed",
                "repeat the value, or name it in `let`",
            )
            return
        if event.anchor is not None:
            self._problem(
                event,
                f"anchors such as &{event.anchor} are not allowed",
                "repeat the value, or name it in `let`",
            )
        if event.tag is not None:
            self._problem(
                event, f"tags such as {event.tag} are not allowed", "quote a text that starts with `!`"
            )

    def _scalar(self, event: Any) -> ScalarNode:
        line, column = _start(event)
        style = event.style if event.style in ("'", '"', "|", ">") else ""
        value: None | bool | int | float | str = event.value
        if not style:
            value = self._resolve(event)
        return ScalarNode(
            self._source,
            line,
            column,
            value,
            event.value,
            style,
            event.end_mark.line + 1,
            event.end_mark.column + 1,
        )

    def _resolve(self, event: Any) -> None | bool | int | float | str:
        text: str = event.value
        if text in _WORDS:
            return _WORDS[text]
        if _INT.fullmatch(text):
            return int(text) if len(text) < 40 else text
        if _BASED.fullmatch(text):
            return int(text, 0)
        if _FLOAT.fullmatch(text):
            return float(text)
        if text.lstrip("+-").lower() in (".inf", ".nan"):
            self._problem(event, f"{text} is not a number that JSON knows", "quote it if it is text")
        return text

    def _map(self, start: Any, depth: int) -> MapNode:
        line, column = _start(start)
        keys: dict[str, ScalarNode] = {}
        values: dict[str, Node] = {}
        self._check_depth(start, depth)
        for event in self._events:
            if isinstance(event, yamltext.MappingEndEvent):
                break
            key = self._node(event, depth)
            value = self._node(next(self._events), depth)
            if not isinstance(key, ScalarNode) or key.value is None:
                self._problem(event, "a key must be text", "quote it")
            elif key.text in keys:
                first = keys[key.text]
                self._problem(
                    event, f"the key `{key.text}` stands twice in this map", f"first on line {first.line}"
                )
            else:
                keys[key.text], values[key.text] = key, value
        return MapNode(self._source, line, column, keys, values)

    def _list(self, start: Any, depth: int) -> ListNode:
        line, column = _start(start)
        items: list[Node] = []
        self._check_depth(start, depth)
        for event in self._events:
            if isinstance(event, yamltext.SequenceEndEvent):
                break
            items.append(self._node(event, depth))
        return ListNode(self._source, line, column, tuple(items))

    def _check_depth(self, event: Any, depth: int) -> None:
        if depth == MAX_DEPTH + 1:
            self._problem(event, f"nested deeper than {MAX_DEPTH} levels")
        if depth > 4 * MAX_DEPTH:
            raise RecursionError

    def _problem(self, event: Any, message: str, hint: str = "") -> None:
        line, column = _start(event)
        self._problems.append(YamlProblem(line, column, message, hint))

    def _syntax_problem(self, error: Any) -> YamlProblem:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        text = self._source.lines[line - 1] if line <= len(self._source.lines) else ""
        message = str(getattr(error, "problem", None) or error)
        return YamlProblem(line, column, f"not YAML: {message}", _syntax_hint(text, column, message))


def _start(event: Any) -> tuple[int, int]:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _syntax_hint(line: str, column: int, message: str) -> str:
    if "${" in line[:column] and "mapping values" in message:
        return "a `: ` ends a plain scalar: put the whole `${...}` in quotes, or below a `>-`"
    if "${" in line:
        return "inside `{ }` or `[ ]`, and where it holds `: ` or ` #`, `${...}` must be quoted"
    if "\t" in line[: max(column, 1)]:
        return "indent with spaces, not with tabs"
    return "check the indentation and the quotes"
