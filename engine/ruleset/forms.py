"""Values of rule files, compiled: scalars, `${...}`, maps, lists, `cases:`, lists of tests.

Promises: Unknown stays where it is inside maps and lists, `omit()` drops its entry, `key?:` drops
its key only when the value was skipped by its own `when` or is an unset field of the spec, and
`initially:` speaks only while the field of self.status with the name of the key that holds the
`cases` was never set and no case can be decided. Never checks types: `conform` does, before.
Neighbours: `build` makes forms, observe and decide evaluate them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from engine.base.errors import ExpressionError
from engine.base.values import OMIT, Unknown, Value
from engine.base.yamlnodes import Node, ScalarNode
from engine.expr import Expression, Scope, Template
from engine.ruleset.model_values import Position
from engine.ruleset.references import Facts

NOTHING: Final = object()
"""Says that no current value was given: `@` is then the scope itself."""


@dataclass(frozen=True, slots=True, eq=False)
class Site:
    """One expression and where it stands: `offset` is its place in the text of `node`."""

    expression: Expression
    node: ScalarNode
    offset: int
    facts: Facts


class _Placed:
    """What all forms share: the node they came from."""

    __slots__ = ()
    node: Any

    @property
    def position(self) -> Position:
        return Position(self.node.source.name, self.node.line, self.node.column)

    def _error(self, message: str) -> ExpressionError:
        return ExpressionError(f"{self.position}: {message}")


@dataclass(frozen=True, slots=True, eq=False)
class LiteralForm(_Placed):
    """A scalar without an expression."""

    node: Node
    value: Value

    def evaluate(self, scope: Scope, current: Value = NOTHING) -> Value:
        """The scalar."""
        return self.value


@dataclass(frozen=True, slots=True, eq=False)
class TemplateForm(_Placed):
    """A scalar with `${...}`. `whole`: it is exactly one expression and keeps its native type."""

    node: ScalarNode
    template: Template
    sites: tuple[Site, ...]
    whole: bool

    def evaluate(self, scope: Scope, current: Value = NOTHING) -> Value:
        """The value; raises ExpressionError naming the place."""
        try:
            if self.whole:
                # The most frequent form by far: straight to the closure.
                return self.sites[0].expression.closure(scope if current is NOTHING else current, scope)
            return self.template.evaluate(scope)
        except ExpressionError as error:
            text = str(error)
            if text.startswith(self.node.source.name):
                raise
            if self.whole and not text.startswith("${"):
                text = f"${{{self.sites[0].expression.text}}}: {text}"
            raise self._error(text) from error


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One entry of a map. `optional`: the key is written `key?`; `null_drops`: as an unset spec field."""

    key: str
    key_node: ScalarNode
    key_form: TemplateForm | None
    form: Compiled
    optional: bool = False
    null_drops: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class MapForm(_Placed):
    """A map whose keys and values may hold expressions."""

    node: Node
    entries: tuple[Entry, ...]

    def evaluate(self, scope: Scope, current: Value = NOTHING) -> Value:
        """A dict; Unknown as a whole only when a key is unknown."""
        result: dict[str, Value] = {}
        for entry in self.entries:
            value = entry.form.evaluate(scope, current)
            if value is OMIT or (entry.optional and _is_unset(value, entry.null_drops)):
                continue
            key: Value = entry.key
            if entry.key_form is not None:
                key = entry.key_form.evaluate(scope, current)
                if isinstance(key, Unknown):
                    return key
                if not isinstance(key, str):
                    raise self._error(f"the key {entry.key} is not text")
            result[key] = value
        return result


@dataclass(frozen=True, slots=True, eq=False)
class ListForm(_Placed):
    """A list whose items may be expressions."""

    node: Node
    items: tuple[Compiled, ...]

    def evaluate(self, scope: Scope, current: Value = NOTHING) -> Value:
        """A list without the omitted items."""
        values = [item.evaluate(scope, current) for item in self.items]
        return [value for value in values if value is not OMIT]


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One line of `cases`."""

    when: Compiled
    value: Compiled


@dataclass(frozen=True, slots=True, eq=False)
class CasesForm(_Placed):
    """The first case whose test is true; `field` is the field of self.status that `initially` asks."""

    node: Node
    cases: tuple[Case, ...]
    otherwise: Compiled | None
    initially: Compiled | None
    field: str

    def evaluate(self, scope: Scope, current: Value = NOTHING) -> Value:
        """The chosen value; Unknown when a test before it is unknown, OMIT when nothing fits."""
        for case in self.cases:
            verdict = case.when.evaluate(scope, current)
            if isinstance(verdict, Unknown):
                if self.initially is not None and self._never_set(scope):
                    return self.initially.evaluate(scope, current)
                return verdict
            if _boolean(self, verdict):
                return case.value.evaluate(scope, current)
        return OMIT if self.otherwise is None else self.otherwise.evaluate(scope, current)

    def _never_set(self, scope: Scope) -> bool:
        status = scope.lookup("self").get("status")
        return not isinstance(status, Mapping) or status.get(self.field) is None


@dataclass(frozen=True, slots=True, eq=False)
class AllForm(_Placed):
    """A list of tests: false when one is false, else Unknown when one is, else true."""

    node: Node
    tests: tuple[Compiled, ...]

    def evaluate(self, scope: Scope, current: Value = NOTHING) -> Value:
        """Three-valued conjunction."""
        unknown: Unknown | None = None
        for test in self.tests:
            verdict = test.evaluate(scope, current)
            if isinstance(verdict, Unknown):
                unknown = verdict if unknown is None else unknown
            elif not _boolean(self, verdict):
                return False
        return True if unknown is None else unknown


Compiled: TypeAlias = LiteralForm | TemplateForm | MapForm | ListForm | CasesForm | AllForm


def _is_unset(value: Value, null_drops: bool) -> bool:
    return (isinstance(value, Unknown) and value.skipped) or (value is None and null_drops)


def _boolean(form: _Placed, verdict: Value) -> bool:
    if not isinstance(verdict, bool):
        raise form._error("the test gives neither true nor false")  # noqa: SLF001
    return verdict


def parts_of(form: Compiled) -> tuple[Compiled, ...]:
    """The forms directly inside `form`."""
    if isinstance(form, MapForm):
        keys = [entry.key_form for entry in form.entries if entry.key_form is not None]
        return (*keys, *(entry.form for entry in form.entries))
    if isinstance(form, ListForm):
        return form.items
    if isinstance(form, AllForm):
        return form.tests
    if isinstance(form, CasesForm):
        ends = [end for end in (form.otherwise, form.initially) if end is not None]
        return (*(part for case in form.cases for part in (case.when, case.value)), *ends)
    return ()


def sites_of(form: Compiled) -> Iterator[Site]:
    """Every expression in `form`, at any depth."""
    if isinstance(form, TemplateForm):
        yield from form.sites
    for part in parts_of(form):
        yield from sites_of(part)
