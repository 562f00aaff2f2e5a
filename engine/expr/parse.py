"""Read an expression to its syntax tree: JMESPath, and `$name` for a name outside the current item.

The jmespath library does the reading and is imported nowhere else; here its nodes get offsets and
its mistakes become ours, with a hint. Bounded in length and depth, so that no text can exhaust
the stack. Never evaluates. Neighbours: `compile` and `infer` walk the tree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from jmespath import exceptions, lexer, parser

from engine.base.errors import EngineError

MAX_LENGTH: Final = 2000
MAX_DEPTH: Final = 60
MAX_WIDTH: Final = 64
"""Most copies of the input that pipes of multiselects may make; the cost of one evaluation."""


class ExpressionSyntaxError(EngineError):
    """The text is no expression. `offset` counts characters from its start, `code` is a stable word."""

    def __init__(self, message: str, offset: int, hint: str = "", code: str = "syntax") -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset
        self.hint = hint
        self.code = code


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One node: JMESPath's node type, its value, what is below it and where it begins."""

    type: str
    value: Any
    children: tuple[Node, ...]
    offset: int


class _Lexer(lexer.Lexer):  # type: ignore[misc]  # the library has no types
    START_IDENTIFIER = lexer.Lexer.START_IDENTIFIER | {"$"}


class _Parser(parser.Parser):  # type: ignore[misc]  # the library has no types
    """The library's parser, noting where each node begins and refusing what `!` would bind wrongly."""

    def _parse(self, expression: str) -> Any:
        self.tokenizer = _Lexer().tokenize(expression)
        self._tokens = list(self.tokenizer)
        self._index = 0
        parsed = self._expression(binding_power=0)
        if self._current_token() != "eof":
            token = self._lookahead_token(0)
            raise exceptions.ParseError(token["start"], token["value"], token["type"], "unexpected text")
        return parsed

    def _expression(self, binding_power: int = 0) -> Any:
        start = self._lookahead_token(0)["start"]
        node = super()._expression(binding_power)
        node.setdefault("offset", start)
        return node

    def _token_nud_not(self, token: Any) -> Any:
        node = super()._token_nud_not(token)
        node["bare"] = self._lookahead_token(-1)["type"] != "rparen"
        return node


def parse(text: str, *, strict: bool = True) -> Node:
    """The tree of one expression; raises ExpressionSyntaxError.

    `strict` refuses what JMESPath reads otherwise than a person does; without it the language is
    exactly JMESPath.
    """
    if len(text) > MAX_LENGTH:
        raise ExpressionSyntaxError(f"longer than {MAX_LENGTH} characters", 0, "split it with `let`")
    _check_nesting(text)
    try:
        tree = _Parser()._do_parse(text)
    except exceptions.IncompleteExpressionError as error:
        raise ExpressionSyntaxError("the expression ends too early", len(text)) from error
    except exceptions.LexerError as error:
        raise ExpressionSyntaxError(error.message, error.lex_position, _hint(text, error.lex_position)) from error
    except exceptions.ParseError as error:
        offset = error.lex_position
        raise ExpressionSyntaxError(f"cannot be read from here: {error.token_value!r}", offset, _hint(text, offset)) from error
    except (RecursionError, ValueError) as error:
        raise ExpressionSyntaxError("cannot be read", 0) from error
    node = _node(tree, 0)
    if strict:
        _refuse_negated_path(tree)
    if _width(node) > MAX_WIDTH:
        raise ExpressionSyntaxError("copies its input too often", 0, "split it with `let`")
    return node


def _node(tree: Any, offset: int) -> Node:
    here = tree.get("offset", offset)
    children = tuple(_node(child, here) for child in tree["children"] if isinstance(child, dict))
    value = tree.get("value")
    if tree["type"] == "slice":
        value = tuple(tree["children"])
    if tree["type"] == "subexpression":
        # The library keeps `a.b.c` as one node with three children; two at a time is easier to walk.
        while len(children) > 2:
            children = (Node("subexpression", value, children[:2], here), *children[2:])
    return Node(tree["type"], value, children, here)


def _check_nesting(text: str) -> None:
    depth = 0
    for offset, char in enumerate(text):
        depth += (char in "([{!&") - (char in ")]}")
        if depth > MAX_DEPTH:
            raise ExpressionSyntaxError(f"nested deeper than {MAX_DEPTH}", offset, "split it with `let`")


def _width(node: Node) -> int:
    """How many copies of its input an expression can make."""
    below = [_width(child) for child in node.children]
    if node.type in ("multi_select_list", "multi_select_dict"):
        return sum(below) or 1
    if node.type in ("pipe", "subexpression"):
        product = 1
        for width in below:
            product *= width
        return product
    return max(below, default=1)


def _refuse_negated_path(tree: Any) -> None:
    """`!a.b` binds as `(!a).b`, which nobody means."""
    if tree["type"] in ("subexpression", "index_expression", "comparator"):
        first = tree["children"][0]
        mistaken = isinstance(first, dict) and first["type"] == "not_expression"
        if mistaken and (first["bare"] or tree["type"] != "comparator"):
            raise ExpressionSyntaxError(
                "`!` binds tighter than `.` and comparisons", first.get("offset", 0), "write !(a.b)"
            )
    for child in tree["children"]:
        if isinstance(child, dict):
            _refuse_negated_path(child)


def _hint(text: str, offset: int) -> str:
    char = text[offset : offset + 1]
    if char in ("-", "+", "/"):
        return 'there is no arithmetic; a name with a dash stands in double quotes: a."b-c"'
    if char == "=" and text[offset + 1 : offset + 2] != "=":
        return "compare with =="
    return ""
