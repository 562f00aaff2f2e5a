"""Projections, filters and flattening, as closures.

An item that comes out null is left out, as JMESPath has it; one that comes out Unknown stays, so
that whoever counts or compares the list learns of it. A filter whose test is Unknown for an
item is Unknown as a whole: nobody can say which items it holds. Pure. Neighbour: `compile`.
"""

from __future__ import annotations

from collections.abc import Iterable

from engine.base.values import Unknown, Value
from engine.expr.operators import Closure, truth
from engine.expr.scope import Scope


def over_list(source: Closure, inner: Closure) -> Closure:
    """`list[*].inner`; null for what is no list."""

    def run(current: Value, scope: Scope) -> Value:
        items = source(current, scope)
        if not isinstance(items, list):
            return items if isinstance(items, Unknown) else None
        return _collected(items, inner, scope)

    return run


def over_values(source: Closure, inner: Closure) -> Closure:
    """`map.*.inner`; null for what is no map."""

    def run(current: Value, scope: Scope) -> Value:
        items = source(current, scope)
        if not isinstance(items, dict):
            return items if isinstance(items, Unknown) else None
        return _collected(items.values(), inner, scope)

    return run


def filtered(source: Closure, inner: Closure, test: Closure, *, strict: bool) -> Closure:
    """`list[?test].inner`."""

    def run(current: Value, scope: Scope) -> Value:
        items = source(current, scope)
        if not isinstance(items, list):
            return items if isinstance(items, Unknown) else None
        kept = []
        for item in items:
            holds = truth(test(item, scope), strict=strict)
            if isinstance(holds, Unknown):
                return holds
            if holds:
                kept.append(item)
        return _collected(kept, inner, scope)

    return run


def flattened(source: Closure) -> Closure:
    """`list[]`: one level of lists in lists taken away."""

    def run(current: Value, scope: Scope) -> Value:
        items = source(current, scope)
        if not isinstance(items, list):
            return items if isinstance(items, Unknown) else None
        flat = []
        for item in items:
            if isinstance(item, Unknown):
                return item
            flat.extend(item if isinstance(item, list) else [item])
        return flat

    return run


def _collected(items: Iterable[Value], inner: Closure, scope: Scope) -> list[Value]:
    results = []
    for item in items:
        result = inner(item, scope)
        if result is not None:
            results.append(result)
    return results
