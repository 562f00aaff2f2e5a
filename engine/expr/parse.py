"""Read an expression to its syntax tree: JMESPath, and `$name` for a name outside the current item.

The jmespath library does the reading and is imported nowhere else; here its nodes get offsets and
its mistakes become ours, with a hint. Bounded in length, depth and growth, so that no text can
exhaust stack or memory. Never evaluates. Neighbours: `tree`, `traps`; `compile` and `infer` walk the tree.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import prod
from typing import Any, Final

from jmespath import exceptions, lexer, parser

from engine.expr.traps import refuse_traps
from engine.expr.tree import ExpressionSyntaxError, Node

__all__ = ["ExpressionSyntaxError", "Node", "parse"]

MAX_LENGTH: Final = 2000
MAX_DEPTH: Final = 60
MAX_GROWTH: Final = 64
"""Most copies of its input that an expression may make, as pipes of multiselects do."""

MAX_LOOPS: Final = 3
"""Most tests and `&expressions` inside one another: each goes over a list for every item of the outer one."""

_SPLIT: Final = "split it with `let`"
_WORDS: Final = {
    "and": "write &&",
    "or": "write ||",
    "not": "write !(...)",
    "in": "write contains(list, item)",
}
_SIGNS: Final = {
    "-": 'there is no arithmetic; a name with a dash stands in double quotes: a."b-c"',
    "+": "there is no arithmetic",
    "/": 'there is no arithmetic; a name with a slash stands in double quotes: a."b/c"',
    "%": "there is no arithmetic",
    "=": "compare with ==",
    "?": "write if(test, one, other)",
}
_NUMBER: Final = re.compile(r"-?\d+")
_NAME: Final = re.compile(r"\w+")


class _Lexer(lexer.Lexer):  # type: ignore[misc]  # the library has no types
    START_IDENTIFIER = lexer.Lexer.START_IDENTIFIER | {"$"}


class _Parser(parser.Parser):  # type: ignore[misc]  # the library has no types
    """The library's parser, noting where each node begins."""

    def tree_of(self, text: str) -> Any:
        self._tokens = list(_Lexer().tokenize(text))
        self._index = 0
        tree = self._expression(binding_power=0)
        if self._current_token() != "eof":
            token = self._lookahead_token(0)
            raise exceptions.ParseError(token["start"], token["value"], token["type"], "unexpected text")
        return tree

    def _expression(self, binding_power: int = 0) -> Any:
        start = self._lookahead_token(0)["start"]
        tree = super()._expression(binding_power)
        tree.setdefault("offset", start)
        return tree


def parse(text: str, *, strict: bool = True) -> Node:
    """The tree of one expression; raises ExpressionSyntaxError.

    `strict` refuses what JMESPath reads otherwise than a person does; without it the language is
    exactly JMESPath.
    """
    if len(text) > MAX_LENGTH:
        raise ExpressionSyntaxError(f"longer than {MAX_LENGTH} characters", 0, _SPLIT)
    tree = _read(text)
    if _depth(tree) > MAX_DEPTH:
        raise ExpressionSyntaxError(f"nested deeper than {MAX_DEPTH}", 0, _SPLIT)
    node = _node(tree, 0)
    if _growth(node) > MAX_GROWTH:
        raise ExpressionSyntaxError("copies its input too often", 0, _SPLIT)
    if _loops(node) > MAX_LOOPS:
        raise ExpressionSyntaxError(f"more than {MAX_LOOPS} loops inside one another", 0, _SPLIT)
    if strict:
        refuse_traps(node, text)
    return node


def _read(text: str) -> Any:
    try:
        return _Parser().tree_of(text)
    except exceptions.EmptyExpressionError as error:
        raise ExpressionSyntaxError("the expression is empty", 0) from error
    except exceptions.LexerError as error:
        offset = error.lex_position
        raise ExpressionSyntaxError(_without_place(error.message), offset, _hint(text, offset)) from error
    except exceptions.ParseError as error:
        offset = error.lex_position
        if offset >= len(text):
            raise ExpressionSyntaxError("the expression ends too early", len(text)) from error
        message = (
            f"unexpected {error.token_value!r}" if error.token_value != "" else "cannot be read from here"
        )
        raise ExpressionSyntaxError(message, offset, _hint(text, offset)) from error
    except RecursionError as error:
        raise ExpressionSyntaxError(f"nested deeper than {MAX_DEPTH}", 0, _SPLIT) from error
    except ValueError as error:
        raise ExpressionSyntaxError(f"cannot be read: {error}", 0) from error


def _without_place(message: str) -> str:
    return message.partition("\n")[0].rstrip(":")


def _hint(text: str, offset: int) -> str:
    sign = _SIGNS.get(text[offset : offset + 1])
    number = _NUMBER.match(text, offset)
    if number is not None:
        dash = ' and a name with a dash in double quotes: a."b-1"' if number[0].startswith("-") else ""
        return f"a number stands in backticks: `{number[0]}`{dash}"
    word = _NAME.match(text, offset)
    return sign or _WORDS.get(word[0] if word else "", "")


def _below(tree: Mapping[str, Any]) -> list[Any]:
    return [child for child in tree["children"] if isinstance(child, dict)]


def _depth(tree: Any) -> int:
    """Levels of the tree, counted without recursion."""
    deepest, open_nodes = 0, [(tree, 1)]
    while open_nodes:
        found, level = open_nodes.pop()
        deepest = max(deepest, level)
        open_nodes += [(child, level + 1) for child in _below(found)]
    return deepest


def _node(tree: Any, offset: int) -> Node:
    here = tree.get("offset", offset)
    children = tuple(_node(child, here) for child in _below(tree))
    value = tree.get("value")
    if tree["type"] == "slice":
        value = tuple(tree["children"])
    if tree["type"] == "subexpression":
        # The library keeps `a.b.c` as one node with three children; two at a time is easier to walk.
        while len(children) > 2:
            children = (Node("subexpression", value, children[:2], here), *children[2:])
    return Node(tree["type"], value, children, here)


def _growth(node: Node) -> int:
    """How many copies of its input an expression can make."""
    below = [_growth(child) for child in node.children]
    if node.type in ("multi_select_list", "multi_select_dict"):
        return sum(below) or 1
    if node.type in ("pipe", "subexpression", "projection", "value_projection"):
        return prod(below)
    if node.type == "filter_projection":
        return below[0] * below[1]
    return max(below, default=1)


def _loops(node: Node) -> int:
    """How deep tests and `&expressions` stand inside one another."""
    below = [_loops(child) for child in node.children]
    if node.type == "filter_projection":
        return max(below[0], below[1], below[2] + 1)
    return max(below, default=0) + (node.type == "expref")
