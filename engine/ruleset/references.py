"""What one expression reads, calls and asks about null: the facts that the checks are made of.

Lists are transparent in paths: `obs.m[?x].spec.y[0]` reads ("obs", "m", "x") and ("obs", "m", "spec", "y").
Pure. Neighbours: `closure` follows lets over these facts, `fields` takes the paths below an answer.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from engine.base.yamlnodes import ScalarNode
from engine.expr import Expression, ExpressionSyntaxError, compile_scalar
from engine.expr.facts import Path, path_of
from engine.expr.parse import Node
from engine.ruleset.parts import Source

CURRENT: Final = "@"
"""The first step of paths below the current value of a `pick`."""


@dataclass(frozen=True, slots=True)
class Ref:
    """A path from a root and where it begins in the expression; `presence`: only compared with null."""

    path: Path
    offset: int
    presence: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """A function call and where it begins."""

    name: str
    offset: int


@dataclass(slots=True, eq=False)
class Facts:
    """`refs`: roots read; `below`: paths read below the current value; `asked`: names in failed('x') and
    error('x'); `path`: the whole expression when it is only a path; `dropping_filters`: offsets of
    filters that drop items by null.
    """

    refs: list[Ref] = field(default_factory=list)
    below: set[Path] = field(default_factory=set)
    calls: list[Call] = field(default_factory=list)
    null_tests: set[Path] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)
    dropping_filters: list[int] = field(default_factory=list)
    path: Path | None = None


_Alias: TypeAlias = frozenset[Ref]
_NOTHING: Final[_Alias] = frozenset()
_SAME: Final = frozenset({"identity", "current", "index", "slice"})
_CHAINS: Final = frozenset({"subexpression", "pipe", "index_expression", "projection"})


def facts_of(expression: Expression, *, picked: bool = False) -> Facts:
    """The facts of an expression; `picked`: bare names belong to the answer of a read."""
    facts = Facts(path=path_of(expression.node, (CURRENT,) if picked else None))
    walk = _Walk(facts)
    start = Ref((CURRENT,) if picked else (), 0)
    walk.consume(walk.trace(expression.node, frozenset({start})))
    return facts


@dataclass(slots=True, eq=False)
class _Walk:
    """Follows which paths each part of an expression stands for."""

    facts: Facts

    def consume(self, alias: _Alias) -> None:
        """The values at these paths are used as a whole."""
        for ref in sorted(alias, key=lambda ref: (ref.offset, ref.path)):
            if ref.path[:1] == (CURRENT,):
                self.facts.below.add(ref.path[1:])
            elif ref.path:
                self.facts.refs.append(ref)

    def trace(self, node: Node, current: _Alias) -> _Alias:
        """The paths that the value of `node` stands for; everything used on the way is consumed."""
        if node.type in _SAME:
            return current
        if node.type in _CHAINS:
            for child in node.children:
                current = self.trace(child, current)
            return current
        if node.type == "field":
            return self._field(node, current)
        if node.type == "flatten":
            return self.trace(node.children[0], current)
        return self._compute(node, current)

    def _compute(self, node: Node, current: _Alias) -> _Alias:
        """A node that makes a new value of what is below it."""
        if node.type == "filter_projection":
            return self._filter(node, current)
        if node.type == "function_expression":
            return self._call(node, current)
        if node.type == "value_projection":
            self.consume(self.trace(node.children[0], current))
            return self.trace(node.children[1], _NOTHING)
        if node.type == "comparator":
            self._null_test(node, current)
        presence = _compares_with_null(node)
        for child in node.children:
            found = self.trace(child, current)
            self.consume(frozenset(replace(ref, presence=True) for ref in found) if presence else found)
        return _NOTHING

    def _field(self, node: Node, current: _Alias) -> _Alias:
        if node.value.startswith("$"):
            return frozenset({Ref((node.value[1:],), node.offset)})
        return frozenset(
            Ref((*ref.path, node.value), ref.offset if ref.path else node.offset) for ref in current
        )

    def _filter(self, node: Node, current: _Alias) -> _Alias:
        source, result, condition = node.children
        items = self.trace(source, current)
        self.consume(self.trace(condition, items))
        if _drops_null(condition):
            self.facts.dropping_filters.append(condition.offset)
        return self.trace(result, items)

    def _call(self, node: Node, current: _Alias) -> _Alias:
        self.facts.calls.append(Call(node.value, node.offset))
        if node.value in ("failed", "error") and node.children and node.children[0].type == "literal":
            self.facts.asked.add(str(node.children[0].value))
        path = path_of(node, ())
        if path is not None and node.value == "lookup":
            name = str(node.children[1].value)
            return frozenset(
                Ref((*ref.path, name), ref.offset) for ref in self.trace(node.children[0], current)
            )
        plain = [child for child in node.children if child.type != "expref"]
        given = [self.trace(child, current) for child in plain]
        items: _Alias = frozenset().union(*given)
        for child in node.children:
            if child.type == "expref":
                self.consume(self.trace(child.children[0], items))
        for alias in given:
            self.consume(alias)
        return _NOTHING

    def _null_test(self, node: Node, current: _Alias) -> None:
        left, right = node.children
        for side, other in ((left, right), (right, left)):
            if other.type == "literal" and other.value is None and node.value in ("eq", "ne"):
                quiet = _Walk(Facts())
                self.facts.null_tests |= {ref.path for ref in quiet.trace(side, current)}


def _compares_with_null(node: Node) -> bool:
    return (
        node.type == "comparator"
        and node.value in ("eq", "ne")
        and any(child.type == "literal" and child.value is None for child in node.children)
    )


def _drops_null(condition: Node) -> bool:
    """Whether a filter asks for null, or lets a field that may be absent decide by itself."""
    if condition.type == "comparator":
        return any(child.type == "literal" and child.value is None for child in condition.children)
    if condition.type in ("field", "subexpression"):
        return True
    if condition.type in ("and_expression", "or_expression", "not_expression"):
        return any(_drops_null(child) for child in condition.children)
    return False


class LetSources:
    """The lets of a rule as written, for what must be known before they are compiled."""

    def __init__(self, source: Source) -> None:
        self._let = source.let

    def is_unset_spec(self, expression: Expression) -> bool:
        """Whether a null of `expression` means a field of self.spec that is not set, lets resolved."""
        return self._is_spec(path_of(expression.node, None), frozenset())

    def _is_spec(self, path: Path | None, seen: frozenset[str]) -> bool:
        if path is None:
            return False
        if path[:2] == ("self", "spec"):
            return True
        if path[0] != "let" or len(path) < 2 or path[1] in seen or path[1] not in self._let:
            return False
        node = self._let[path[1]].node
        if not isinstance(node, ScalarNode):
            return False
        try:
            template = compile_scalar(node.text)
        except ExpressionSyntaxError:
            return False
        if template is None or not template.is_single:
            return False
        return self._is_spec(path_of(template.expressions[0].node, None), seen | {path[1]})
