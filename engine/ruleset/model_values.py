"""What the values of a checked rule are: compiled, with the place where they were written.

A `Form` is any value of a rule file (a scalar, `${...}`, a map, a list, `cases:`) compiled to something
that can be evaluated in a scope. Only data. Neighbours: `forms` makes them, `model` is made of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from engine.base.values import Value
from engine.expr import Scope


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a rule file; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Form(Protocol):
    """A compiled value. May evaluate to Unknown, OMIT or REMOVE, or hold them inside.

    Raises ExpressionError, naming the place, when the value cannot be made from this object.
    """

    @property
    def position(self) -> Position: ...

    def evaluate(self, scope: Scope, current: Value = ...) -> Value: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ForEach:
    """`in` gives the items, `name` names one of them inside, `key` tells them apart (text)."""

    items: Form
    name: str
    key: Form


@dataclass(frozen=True, slots=True, kw_only=True)
class Connect:
    """How a node is reached: address, bundle (Opaque) and whether without a client certificate."""

    endpoint: Form
    identity: Form | None
    insecure: Form | None
