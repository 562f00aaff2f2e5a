"""CEL expressions as trees: what stands in disk, volume and link selectors and in OOM expressions.

Promises: what CEL's grammar refuses raises CelError; what this reader does not know (messages, optional
access) raises NotRead, and is then the node's to judge. Never knows a name's type. Neighbour: `celtypes`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, TypeAlias

from engine.base.errors import EngineError


class CelError(EngineError):
    """An expression that CEL refuses."""


class NotRead(EngineError):
    """An expression of a form that is not read here."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A value; only its type matters."""

    type: str


@dataclass(frozen=True, slots=True)
class Name:
    """A variable."""

    text: str


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a value."""

    of: Tree
    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """A function with its arguments, operators as `_+_`; `member` when the first stands before a dot."""

    function: str
    arguments: tuple[Tree, ...]
    member: bool = False


@dataclass(frozen=True, slots=True)
class Items:
    """A list, or a mapping when there are `values`."""

    keys: tuple[Tree, ...]
    values: tuple[Tree, ...] | None = None


Tree: TypeAlias = Literal | Name | Field | Call | Items

_TOKEN = re.compile(
    r"""\s+|//[^\n]*
    |(?P<text>(?:[rR]?[bB]?|[bB][rR])(?:\"{3}(?:\\.|[^\\])*?\"{3}|'{3}(?:\\.|[^\\])*?'{3}
        |\"(?:\\.|[^\\"\n])*\"|'(?:\\.|[^\\'\n])*'))
    |(?P<float>(?:\d+\.\d+|\.\d+)(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+)
    |(?P<uint>(?:0[xX][0-9a-fA-F]+|\d+)[uU])
    |(?P<int>0[xX][0-9a-fA-F]+|\d+)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<mark>\|\||&&|==|!=|<=|>=|[-+*/%!?:.,()\[\]{}<>])""",
    re.VERBOSE,
)
_RESERVED: Final = frozenset(
    (
        "as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop", "package",
        "namespace", "return", "var", "void", "while",
    )
)  # fmt: skip
_WORDS: Final = {"true": "bool", "false": "bool", "null": "null_type"}
_LEVELS: Final[tuple[tuple[str, ...], ...]] = (
    ("||",),
    ("&&",),
    ("<", "<=", ">=", ">", "==", "!=", "in"),
    ("+", "-"),
    ("*", "/", "%"),
)
_END: Final = ("end", "")


def parse(text: str) -> Tree:
    """The tree of an expression. Raises CelError, NotRead."""
    reader = _Reader(_tokens(text))
    tree = reader.expression()
    if reader.next != _END:
        raise CelError(f"the expression should end before {reader.next[1]!r}")
    return tree


def _tokens(text: str) -> list[tuple[str, str]]:
    found, at = [], 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise CelError(f"{text[at]!r} cannot stand here")
        at = match.end()
        if match.lastgroup:
            found.append((match.lastgroup, match.group()))
    return [*found, _END]


class _Reader:
    """Recursive descent over the tokens."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    @property
    def next(self) -> tuple[str, str]:
        return self._tokens[self._at]

    def _takes(self, mark: str) -> bool:
        if self.next in (("mark", mark), ("name", mark)):
            self._at += 1
            return True
        return False

    def _needs(self, mark: str) -> None:
        if not self._takes(mark):
            raise CelError(f"{mark!r} is missing before {self.next[1] or 'the end'!r}")

    def expression(self) -> Tree:
        self._depth += 1
        if self._depth > 64:
            raise NotRead("nested too deep")
        tree = self._level(0)
        if self._takes("?"):
            first = self._level(0)
            self._needs(":")
            tree = Call("_?_:_", (tree, first, self.expression()))
        self._depth -= 1
        return tree

    def _level(self, level: int) -> Tree:
        if level == len(_LEVELS):
            return self._unary()
        tree = self._level(level + 1)
        while True:
            mark = next((mark for mark in _LEVELS[level] if self._takes(mark)), None)
            if mark is None:
                return tree
            name = "@in" if mark == "in" else f"_{mark}_"
            tree = Call(name, (tree, self._level(level + 1)))

    def _unary(self) -> Tree:
        for mark, name in (("!", "!_"), ("-", "-_")):
            count = 0
            while self._takes(mark):
                count += 1
            if count:
                inner = self._member()  # two of them are none
                return Call(name, (inner,)) if count % 2 else inner
        return self._member()

    def _member(self) -> Tree:
        tree = self._primary()
        while True:
            if self._takes("."):
                if self._takes("?"):
                    raise NotRead("optional access")
                kind, text = self.next
                if kind != "name" or text == "in":
                    raise CelError(f"a name is missing after the dot before {text!r}")
                self._at += 1
                tree = Call(text, (tree, *self._list(")")), True) if self._takes("(") else Field(tree, text)
            elif self._takes("["):
                if self._takes("?"):
                    raise NotRead("optional access")
                tree = Call("_[_]", (tree, self.expression()))
                self._needs("]")
            elif self.next == ("mark", "{") and isinstance(tree, Name | Field):
                raise NotRead("a message")
            else:
                return tree

    def _primary(self) -> Tree:
        kind, text = self.next
        self._at += kind != "end"
        if kind == "text":
            prefix = text[: min(text.find(quote) for quote in "\"'" if quote in text)]
            return Literal("bytes" if "b" in prefix.lower() else "string")
        if kind in ("int", "uint", "float"):
            return Literal("double" if kind == "float" else kind)
        if kind == "name" and text in _WORDS:
            return Literal(_WORDS[text])
        if kind == "name" and text not in _RESERVED and text != "in":
            return Call(text, tuple(self._list(")"))) if self._takes("(") else Name(text)
        if (kind, text) == ("mark", "("):
            tree = self.expression()
            self._needs(")")
            return tree
        if (kind, text) == ("mark", "["):
            return Items(tuple(self._list("]")))
        if (kind, text) == ("mark", "{"):
            return self._mapping()
        if (kind, text) == ("mark", "."):
            raise NotRead("a name from the root")
        raise CelError(f"{text or 'the end'!r} cannot stand here")

    def _list(self, end: str) -> list[Tree]:
        found: list[Tree] = []
        while not self._takes(end):
            if found:
                self._needs(",")
                if end == "]" and self._takes(end):
                    break
            found.append(self.expression())
        return found

    def _mapping(self) -> Tree:
        keys: list[Tree] = []
        values: list[Tree] = []
        while not self._takes("}"):
            if keys:
                self._needs(",")
                if self._takes("}"):
                    break
            keys.append(self.expression())
            self._needs(":")
            values.append(self.expression())
        return Items(tuple(keys), tuple(values))
