"""Find `${...}` in the scalars of rule files and make templates of them.

The end of an expression is found by reading it: braces inside quotes, backticks or nested braces do
not end it. A scalar that is exactly one `${...}` keeps the type of its value, inside text the value
must be a scalar that is not null, and `$${` is a literal `${`. Neighbours: `parse`, `compile`.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.base.errors import ExpressionError
from engine.base.values import Marker, Opaque, Unknown, Value
from engine.expr.compile import Closure, Compiler
from engine.expr.parse import parse
from engine.expr.scope import Scope
from engine.expr.tree import ExpressionSyntaxError, Node

_CURRENT = object()


@dataclass(frozen=True, slots=True, eq=False)
class Expression:
    """One compiled expression; `offset` is where its text begins in the scalar it came from."""

    text: str
    node: Node
    closure: Closure
    offset: int = 0

    def evaluate(self, scope: Scope, current: Value = _CURRENT) -> Value:
        """The value in `scope`; `current` is what `@` and bare names mean, the scope itself if not given.

        Raises ExpressionError with the text of the expression.
        """
        try:
            return self.closure(scope if current is _CURRENT else current, scope)
        except ExpressionError as error:
            if str(error).startswith("${"):
                raise
            raise ExpressionError(f"${{{self.text}}}: {error}") from error


def compile_expression(text: str, *, offset: int = 0, strict: bool = True) -> Expression:
    """Compile one expression; raises ExpressionSyntaxError."""
    node = parse(text, strict=strict)
    return Expression(text, node, Compiler(strict=strict).compile(node), offset)


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """A scalar with expressions; `parts` holds its texts and expressions in order."""

    parts: tuple[str | Expression, ...]

    @property
    def expressions(self) -> tuple[Expression, ...]:
        """The expressions, each with its place in the scalar."""
        return tuple(part for part in self.parts if isinstance(part, Expression))

    @property
    def is_single(self) -> bool:
        """Whether the scalar is one expression and nothing else."""
        return len(self.parts) == 1 and isinstance(self.parts[0], Expression)

    def evaluate(self, scope: Scope, current: Value = _CURRENT) -> Value:
        """The value, or the text with every value put in; raises ExpressionError."""
        first = self.parts[0]
        if isinstance(first, Expression) and self.is_single:
            return first.evaluate(scope, current)
        texts = []
        for part in self.parts:
            value = part if isinstance(part, str) else part.evaluate(scope, current)
            if isinstance(value, Unknown):
                return value
            texts.append(value if isinstance(part, str) else _shown(value, part))
        return "".join(texts)


def _shown(value: Value, part: str | Expression) -> str:
    text = part.text if isinstance(part, Expression) else part
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    what = (
        "null" if value is None else "a secret" if isinstance(value, Opaque) else f"a {type(value).__name__}"
    )
    if isinstance(value, Marker):
        what = repr(value)
    raise ExpressionError(f"${{{text}}}: {what} cannot stand inside text")


def compile_scalar(text: str) -> Template | None:
    """The template of a scalar, or None when there is no `${` in it.

    Raises ExpressionSyntaxError with the offset counted from the start of the scalar.
    """
    if "${" not in text:
        return None
    parts: list[str | Expression] = []
    literal: list[str] = []
    place = 0
    while place < len(text):
        if text.startswith("$${", place):
            literal.append("${")
            place += 3
        elif text.startswith("${", place):
            if literal:
                parts.append("".join(literal))
                literal.clear()
            end = _end_of(text, place + 2)
            parts.append(_compiled(text, place + 2, end))
            place = end + 1
        else:
            literal.append(text[place])
            place += 1
    if literal:
        parts.append("".join(literal))
    return Template(tuple(parts))


def _compiled(text: str, start: int, end: int) -> Expression:
    inner = text[start:end]
    begin = start + len(inner) - len(inner.lstrip())
    if not inner.strip():
        raise ExpressionSyntaxError("empty expression", start, "write ${...} or $${ for the text itself")
    try:
        return compile_expression(inner.strip(), offset=begin)
    except ExpressionSyntaxError as error:
        raise ExpressionSyntaxError(error.message, begin + error.offset, error.hint, error.code) from error


def _end_of(text: str, start: int) -> int:
    """The offset of the brace that closes the expression beginning at `start`."""
    depth = 0
    place = start
    while place < len(text):
        char = text[place]
        if char in "'\"`":
            place = _end_of_quote(text, place)
        elif char == "{":
            depth += 1
        elif char == "}":
            if depth == 0:
                return place
            depth -= 1
        place += 1
    raise ExpressionSyntaxError(
        "`${` is never closed", start - 2, "a ` #` in plain YAML text cuts it off: quote it"
    )


def _end_of_quote(text: str, start: int) -> int:
    quote = text[start]
    place = start + 1
    while place < len(text):
        if text[place] == "\\":
            place += 1
        elif text[place] == quote:
            return place
        place += 1
    raise ExpressionSyntaxError(f"{quote} is never closed", start)
