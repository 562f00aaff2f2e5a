"""What a function of the language is: its signature, its documentation, its code.

A signature reads `name(param: type, ...) -> type`. A type with `?` may be null, `|` lists alternatives,
`...` repeats the last parameter. Never evaluates. Neighbours: `functions_*` define with `function`
and `special`, `functions` collects, `infer_calls` and the documentation read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from engine.base.values import Marker, Opaque, Unknown, Value
from engine.expr.operators import Closure, FunctionError, Reference

ANY_NUMBER: Final = 100
Special = Callable[[list[Closure]], Closure]

_WORDS: Final[dict[type, str]] = {
    type(None): "null",
    bool: "boolean",
    int: "number",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
    Opaque: "secret",
    Reference: "expression",
    Marker: "omit() or null()",
    Unknown: "unknown",
}
_ACCEPTED: Final[dict[str, frozenset[str]]] = {
    "any": frozenset({"boolean", "number", "string", "array", "object", "secret"}),
    "integer": frozenset({"number"}),
    "opaque": frozenset({"secret"}),
    "timestamp": frozenset({"string", "number"}),
}


@dataclass(frozen=True, slots=True)
class Function:
    """One function. `call` gets the arguments; `special` gets their closures and makes one itself.

    `all_known`: an Unknown among the items of a list is the result, not only a list that is Unknown.
    """

    signature: str
    doc: str
    call: Callable[..., Value] | None
    special: Special | None = None
    all_known: bool = False

    @property
    def name(self) -> str:
        """The word it is called by."""
        return self.signature.partition("(")[0]

    @property
    def parameters(self) -> tuple[str, ...]:
        """The types of the parameters, without `...`."""
        inner = self.signature.partition("(")[2].rpartition(") -> ")[0]
        return tuple(part.rpartition(": ")[2] for part in inner.split(", ") if part and part != "...")

    @property
    def result(self) -> str:
        """The type of the result."""
        return self.signature.rpartition(" -> ")[2]

    @property
    def repeats(self) -> bool:
        """Whether the last parameter may be given again and again."""
        return ", ...)" in self.signature

    @property
    def arity(self) -> tuple[int, int]:
        """The least and the most number of arguments."""
        count = len(self.parameters)
        return count, ANY_NUMBER if self.repeats else count

    def accepted(self, count: int) -> list[frozenset[str]]:
        """For each of `count` arguments the words of `kind_of` that it may have."""
        kinds = [_accepted(parameter) for parameter in self.parameters]
        return [kinds[min(index, len(kinds) - 1)] for index in range(count)]


def function(signature: str, *, all_known: bool = False) -> Callable[[Callable[..., Value]], Function]:
    """Define a function by its code; the docstring is its documentation."""
    return lambda code: Function(signature, code.__doc__ or "", code, all_known=all_known)


def special(signature: str) -> Callable[[Special], Function]:
    """Define a function that looks at its arguments itself: lazily, at Unknown, or at the scope."""
    return lambda code: Function(signature, code.__doc__ or "", None, code)


def kind_of(value: Value) -> str:
    """The word for the type of a value: `null`, `number`, `secret` and so on."""
    return _WORDS.get(type(value)) or ("object" if hasattr(value, "get") else type(value).__name__)


def check(values: list[Value], accepted: list[frozenset[str]]) -> Unknown | None:
    """The first Unknown among the arguments, if any; raises FunctionError for one that is not allowed."""
    for value, words in zip(values, accepted, strict=True):
        if _WORDS.get(type(value)) not in words and kind_of(value) not in words:
            return _unknown_or_refused(values, accepted)
    return None


def _unknown_or_refused(values: list[Value], accepted: list[frozenset[str]]) -> Unknown:
    for value in values:
        if isinstance(value, Unknown):
            return value
    position = next(index for index, value in enumerate(values) if kind_of(value) not in accepted[index])
    wanted = " or ".join(sorted(accepted[position]))
    raise FunctionError(f"argument {position + 1} is {kind_of(values[position])}, wanted {wanted}")


def _accepted(parameter: str) -> frozenset[str]:
    words: set[str] = {"null"} if parameter.endswith("?") else set()
    for kind in parameter.removesuffix("?").split("|"):
        words |= _ACCEPTED.get(kind, frozenset({kind}))
    return frozenset(words)
