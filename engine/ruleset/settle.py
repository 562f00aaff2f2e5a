"""What a running engine keeps of its rules: what they compute, and where each value is written.

The lines of the files, the syntax trees and what each expression reads serve the checks alone; kept, they would be as
much again as the rules. Gives a copy and never changes what it was given: whoever looks into rules, as the dashboards
do, takes them as they were loaded. Neighbours: `app` settles what `load` gives, `forms` are what becomes small.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any, Final

from engine.base.yamlnodes import ListNode, MapNode, ScalarNode, YamlSource
from engine.expr import Expression
from engine.expr.tree import Node
from engine.ruleset import schema
from engine.ruleset.model import RuleSet
from engine.ruleset.references import Facts

_NO_TREE: Final = Node("settled", None, (), 0)
_NO_FACTS: Final = Facts()


def settled(rules: RuleSet) -> RuleSet:
    """The same rules without what only the checks need; what is shared in them stays shared."""
    schema.forget()
    small = _Settling().of(rules)
    assert isinstance(small, RuleSet)
    return small


class _Settling:
    """One walk over rules. What holds nothing to drop is taken over as it is."""

    def __init__(self) -> None:
        self._done: dict[int, tuple[object, Any]] = {}

    def of(self, value: Any) -> Any:
        """`value` or a smaller one in its place, the same one for the same value."""
        done = self._done.get(id(value))
        if done is None:
            # With the value itself: its id must not be given to another one meanwhile.
            done = self._done[id(value)] = (value, self._small(value))
        return done[1]

    def _small(self, value: Any) -> Any:
        if isinstance(value, YamlSource):
            return YamlSource(value.name, ())
        if isinstance(value, ScalarNode | MapNode | ListNode):
            return ScalarNode(self.of(value.source), value.line, value.column, None, "", "", 0, 0)
        if isinstance(value, Expression):
            return replace(value, node=_NO_TREE)
        if isinstance(value, Facts):
            return _NO_FACTS
        if isinstance(value, tuple):
            items = tuple(self.of(item) for item in value)
            return value if all(new is old for new, old in zip(items, value, strict=True)) else items
        if isinstance(value, dict):
            entries = {key: self.of(item) for key, item in value.items()}
            return value if all(entries[key] is item for key, item in value.items()) else entries
        if is_dataclass(value) and not isinstance(value, type):
            given = {field.name: getattr(value, field.name) for field in fields(value)}
            changed = {name: new for name, old in given.items() if (new := self.of(old)) is not old}
            return replace(value, **changed) if changed else value
        return value
