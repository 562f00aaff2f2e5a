"""The names an expression can read, and what they may be: values, or namespaces that compute.

A Namespace computes its fields when they are read; what it raises passes through evaluation
untouched. Pure. Neighbours: `compile` looks names up here, the engine fills the root.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from engine.base.errors import ExpressionError
from engine.base.values import Value


@runtime_checkable
class Namespace(Protocol):
    """A value whose fields are computed on demand: `let`, `obs`, `act`, `cond`, `made`."""

    def lookup(self, name: str) -> Value:
        """The field's value; raises ExpressionError when there is none of that name."""


class ReadState(Protocol):
    """How a read ended, for `failed()` and `error()`."""

    @property
    def status(self) -> str: ...
    @property
    def code(self) -> str: ...
    @property
    def message(self) -> str: ...


class Scope:
    """Names at the root of an expression; an inner scope adds names and hides outer ones."""

    __slots__ = ("_names", "_outer")

    def __init__(self, names: Mapping[str, Any], outer: Scope | None = None) -> None:
        self._names = names
        self._outer = outer

    def lookup(self, name: str) -> Value:
        """The value of a name; raises ExpressionError for one that does not exist."""
        if name in self._names:
            return self._names[name]
        if self._outer is not None:
            return self._outer.lookup(name)
        raise ExpressionError(f"nothing is called {name} here")

    def child(self, names: Mapping[str, Any]) -> Scope:
        """A scope inside this one with more names."""
        return Scope(names, self)
