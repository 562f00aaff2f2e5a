"""The syntax tree of an expression, and the error of a text that has none.

Node types are JMESPath's (`field`, `subexpression`, `filter_projection` ...); a field whose value
begins with `$` reads the root. Neighbours: `parse` makes trees, everything else walks them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engine.base.errors import EngineError


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
    """One node: JMESPath's node type, its value, what is below it and where it begins in the text."""

    type: str
    value: Any
    children: tuple[Node, ...]
    offset: int
