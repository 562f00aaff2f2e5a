"""Refuse what JMESPath reads otherwise than a person does, with the hint that mends it.

`!a.b` is `(!a).b`; a root name inside a filter is looked up on the item; `null`, `true` and double
quotes name fields; a text in backticks is no text. Looks at the tree only; types come later.
Neighbours: `parse` calls it for rules, never for plain JMESPath.
"""

from __future__ import annotations

import re
from typing import Final

from engine.expr.tree import ExpressionSyntaxError, Node

ROOTS: Final = frozenset(
    {"self", "obs", "let", "act", "cond", "sent", "once", "job", "made", "event", "engine", "settings", "now"}
)
"""Names that always mean the root; inside a filter they need a `$`."""

_CONSTANTS: Final = frozenset({"null", "true", "false"})
_PATHS: Final = frozenset(
    {"subexpression", "index_expression", "projection", "value_projection", "filter_projection", "flatten"}
)
_WORD: Final = re.compile(r'"[A-Za-z_][A-Za-z0-9_]*"')


def refuse_traps(node: Node, text: str) -> None:
    """Raise ExpressionSyntaxError for the first trap in the tree of `text`."""
    _Search(text).look(node, inside=False, after_dot=False)


class _Search:
    """`inside`: bare names belong to an item here; `after_dot`: this name follows a dot."""

    def __init__(self, text: str) -> None:
        self._text = text

    def look(self, node: Node, *, inside: bool, after_dot: bool) -> None:
        if node.type == "field":
            self._field(node, inside=inside, after_dot=after_dot)
        elif node.type == "literal":
            self._literal(node)
        elif node.type in _PATHS:
            self._path(node, inside=inside, after_dot=after_dot)
        elif node.type == "pipe":
            self.look(node.children[0], inside=inside, after_dot=False)
            self.look(node.children[1], inside=True, after_dot=False)
        else:
            if node.type == "comparator":
                self._comparison(node)
            for child in node.children:
                self.look(child, inside=inside or node.type == "expref", after_dot=False)

    def _path(self, node: Node, *, inside: bool, after_dot: bool) -> None:
        first, *rest = node.children
        if first.type == "not_expression":
            raise ExpressionSyntaxError(
                "`!` binds tighter than what follows", first.offset, "write !(a.b)", "negated-path"
            )
        self.look(first, inside=inside, after_dot=after_dot)
        for position, child in enumerate(rest):
            is_test = node.type == "filter_projection" and position == 1
            self.look(child, inside=True, after_dot=not is_test)

    def _field(self, node: Node, *, inside: bool, after_dot: bool) -> None:
        name: str = node.value
        if name == "$" or (name.startswith("$") and after_dot):
            raise ExpressionSyntaxError(
                "`$` stands before a name of the root only", node.offset, "write $self.spec"
            )
        if after_dot or self._is_quoted(node):
            return
        if inside and name in ROOTS:
            hint = f"write ${name}; a field of the item that is called so: @.{name}"
            raise ExpressionSyntaxError(
                f"`{name}` is looked up on the item here", node.offset, hint, "outer-name-in-filter"
            )
        if name in _CONSTANTS:
            raise ExpressionSyntaxError(
                f"`{name}` names a field here", node.offset, f"the value stands in backticks: `{name}`"
            )

    def _literal(self, node: Node) -> None:
        is_text = isinstance(node.value, str) and self._text.startswith("`", node.offset)
        if is_text and not self._text[node.offset + 1 :].lstrip().startswith('"'):
            raise ExpressionSyntaxError(
                "backticks hold JSON", node.offset, f"a text stands in single quotes: '{node.value}'"
            )

    def _comparison(self, node: Node) -> None:
        left, right = node.children
        if left.type == "not_expression" and not self._text[left.offset + 1 :].lstrip().startswith("("):
            raise ExpressionSyntaxError(
                "`!` binds tighter than comparisons", left.offset, "write !(a == b) or a != b", "negated-path"
            )
        for side in (left, right):
            if side.type == "field" and _WORD.match(self._text, side.offset):
                raise ExpressionSyntaxError(
                    f'"{side.value}" in double quotes names a field',
                    side.offset,
                    f"a text stands in single quotes: '{side.value}'",
                )

    def _is_quoted(self, node: Node) -> bool:
        return self._text.startswith('"', node.offset)
