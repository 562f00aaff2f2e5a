"""Compile a syntax tree once to closures; evaluating is then calling.

A closure takes the current value and the scope. Fields of maps are read directly, fields of a
Namespace are asked for, Unknown comes out of everything that it goes into, and `&& || !` are
three-valued. Rules have no truthiness: an operand that is no boolean is an error; the plain
dialect, for JMESPath's own cases, has it. Neighbours: `operators`, `projections`, `functions`.
"""

from __future__ import annotations

from collections.abc import Callable

from engine.base.errors import ExpressionError
from engine.base.values import OMIT, Marker, Opaque, Unknown, Value, first_unknown
from engine.expr import operators, projections
from engine.expr.functions import known_function
from engine.expr.scope import Scope
from engine.expr.signatures import Function, check, kind_of
from engine.expr.tree import ExpressionSyntaxError, Node

Closure = Callable[[Value, Scope], Value]


class Compiler:
    """Compiles trees of one dialect: `strict` for rules, without it JMESPath as specified."""

    def __init__(self, *, strict: bool) -> None:
        self.strict = strict

    def compile(self, node: Node) -> Closure:
        """The closure of one node; raises ExpressionSyntaxError for an unknown function or arity."""
        method: Callable[[Node], Closure] = getattr(self, f"_{node.type}")
        return method(node)

    def _literal(self, node: Node) -> Closure:
        value = node.value
        return lambda current, scope: value

    def _identity(self, node: Node) -> Closure:
        return lambda current, scope: current

    _current = _identity

    def _field(self, node: Node) -> Closure:
        name = node.value
        if name.startswith("$"):
            outer = name[1:]
            return lambda current, scope: scope.lookup(outer)
        return _fields(None, (name,))

    def _subexpression(self, node: Node) -> Closure:
        names: list[str] = []
        while node.type == "subexpression" and node.children[1].type == "field":
            names.insert(0, node.children[1].value)
            node = node.children[0]
        if node.type == "field" and not node.value.startswith("$"):
            return _fields(None, (node.value, *names))
        return _fields(self._pipe(node) if node.type == "subexpression" else self.compile(node), tuple(names))

    def _pipe(self, node: Node) -> Closure:
        first, second = (self.compile(child) for child in node.children)
        return lambda current, scope: second(first(current, scope), scope)

    def _index_expression(self, node: Node) -> Closure:
        closures = [self.compile(child) for child in node.children]

        def run(current: Value, scope: Scope) -> Value:
            for closure in closures:
                current = closure(current, scope)
            return current

        return run

    def _index(self, node: Node) -> Closure:
        index = node.value

        def run(current: Value, scope: Scope) -> Value:
            if isinstance(current, Unknown):
                return current
            if not isinstance(current, list):
                return None
            return current[index] if -len(current) <= index < len(current) else None

        return run

    def _slice(self, node: Node) -> Closure:
        start, stop, step = node.value
        if step == 0:
            raise ExpressionSyntaxError("a slice cannot have step 0", node.offset)
        part = slice(start, stop, step)
        return lambda current, scope: (
            current if isinstance(current, Unknown) else current[part] if isinstance(current, list) else None
        )

    def _not_expression(self, node: Node) -> Closure:
        return operators.negation(self.compile(node.children[0]), strict=self.strict)

    def _and_expression(self, node: Node) -> Closure:
        left, right = (self.compile(child) for child in node.children)
        return operators.conjunction(left, right, strict=self.strict)

    def _or_expression(self, node: Node) -> Closure:
        left, right = (self.compile(child) for child in node.children)
        return operators.disjunction(left, right, strict=self.strict)

    def _comparator(self, node: Node) -> Closure:
        left, right = (self.compile(child) for child in node.children)
        literal = node.children[1].value
        if node.value in ("eq", "ne") and node.children[1].type == "literal" and isinstance(literal, str):
            return operators.is_word(left, literal, wanted=node.value == "eq")
        return operators.comparison(node.value, left, right, strict=self.strict)

    def _projection(self, node: Node) -> Closure:
        return projections.over_list(*(self.compile(child) for child in node.children))

    def _value_projection(self, node: Node) -> Closure:
        return projections.over_values(*(self.compile(child) for child in node.children))

    def _filter_projection(self, node: Node) -> Closure:
        source, inner, test = (self.compile(child) for child in node.children)
        return projections.filtered(source, inner, test, strict=self.strict)

    def _flatten(self, node: Node) -> Closure:
        return projections.flattened(self.compile(node.children[0]))

    def _multi_select_list(self, node: Node) -> Closure:
        closures = [self.compile(child) for child in node.children]

        def run(current: Value, scope: Scope) -> Value:
            if current is None or type(current) is Unknown:
                return current
            values = [closure(current, scope) for closure in closures]
            return [value for value in values if value is not OMIT] if OMIT in values else values

        return run

    def _multi_select_dict(self, node: Node) -> Closure:
        pairs = [(child.value, self.compile(child.children[0])) for child in node.children]

        def run(current: Value, scope: Scope) -> Value:
            if current is None or type(current) is Unknown:
                return current
            found = {}
            for key, closure in pairs:
                value = closure(current, scope)
                if value is not OMIT:
                    found[key] = value
            return found

        return run

    def _expref(self, node: Node) -> Closure:
        closure = self.compile(node.children[0])
        return lambda current, scope: operators.Reference(closure, scope)

    def _function_expression(self, node: Node) -> Closure:
        function = known_function(node)
        arguments = [self.compile(child) for child in node.children]
        if function.special is not None:
            return function.special(arguments)
        return _call(function, arguments)


def _call(function: Function, arguments: list[Closure]) -> Closure:
    call, accepted, all_known = function.call, function.accepted(len(arguments)), function.all_known
    assert call is not None

    def run(current: Value, scope: Scope) -> Value:
        values = [argument(current, scope) for argument in arguments]
        try:
            unknown = check(values, accepted)
            if unknown is None and all_known:
                unknown = first_unknown(values)
            return call(*values) if unknown is None else unknown
        except (operators.FunctionError, ValueError, TypeError, OverflowError) as error:
            raise ExpressionError(f"{function.name}(): {error}") from error

    return run


def _fields(source: Closure | None, names: tuple[str, ...]) -> Closure:
    """A chain of names below a source, or below the current value."""
    if source is None and len(names) == 1:
        name = names[0]
        return lambda current, scope: current.get(name) if type(current) is dict else field_of(current, name)

    def run(current: Value, scope: Scope) -> Value:
        if source is not None:
            current = source(current, scope)
        for name in names:
            if type(current) is dict:
                current = current.get(name)
            elif current is None:
                return None
            elif type(current) is Scope:
                current = current.lookup(name)
            else:
                current = field_of(current, name)
        return current

    return run


def field_of(current: Value, name: str) -> Value:
    """One field: of a map, or computed by a Namespace; null where there is none."""
    if current is None:
        return None
    lookup = getattr(current, "lookup", None)
    if lookup is not None:
        return lookup(name)
    if isinstance(current, Unknown):
        return current
    if isinstance(current, bool | int | float | str | list):
        return None
    if isinstance(current, Opaque | Marker):
        raise ExpressionError(f"{kind_of(current)} has no field {name}")
    getter = getattr(current, "get", None)
    return getter(name) if getter is not None else None
