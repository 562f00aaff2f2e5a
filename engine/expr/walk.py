"""What those who infer types share: where they stand, what they note, and how they go on.

Never decides about a node itself. Pure. Neighbours: `infer` walks, `infer_calls` and
`infer_comparisons` look at one node each and hand its children back to the walk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from engine.expr.facts import Path
from engine.expr.tree import Node
from engine.expr.types import Type


@dataclass(frozen=True, slots=True)
class Issue:
    """One mistake. `code` is stable, `offset` counts from the start of the expression."""

    code: str
    message: str
    hint: str
    offset: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node is evaluated: the type and path of the current item, and what is not null there.

    `picked`: bare names belong to the value that the whole expression was given.
    """

    current: Type | None
    path: Path | None
    facts: frozenset[Path]
    picked: bool = False

    def inside(self, item: Type) -> Place:
        """Inside a projection over items of that type."""
        return Place(item, ("@",), frozenset(fact for fact in self.facts if fact[:1] != ("@",)))

    def knowing(self, facts: frozenset[Path]) -> Place:
        """The same place with more facts."""
        return replace(self, facts=self.facts | facts) if facts else self


class Walk(Protocol):
    """One walk over one tree. `types` are the names at the root, `reads` the root paths that were met."""

    types: Mapping[str, Type]
    reads: set[Path]

    def report(self, code: str, node: Node, message: str, hint: str = "") -> None:
        """Note one mistake."""

    def type_of(self, node: Node, place: Place) -> Type:
        """The type of one node; mistakes below it are noted."""

    def boolean(self, node: Node, place: Place, where: str) -> None:
        """Check an operand that has to be true or false."""
