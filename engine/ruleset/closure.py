"""What a form depends on, through every `let` on the way.

The safety rules ask about everything an expression may reach, not only about what stands in it: a
`failed()` two lets away is as dangerous as one on the line. Pure. Neighbours: `references` reads
single expressions, `names` and the `safety_*` modules ask here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from engine.ruleset.forms import Compiled, Site, sites_of
from engine.ruleset.references import Facts
from engine.ruleset.units import Unit


@dataclass(frozen=True, slots=True, eq=False)
class Reached:
    """One expression that a form reaches. `entry` stands in the form itself, `trail` names the lets between."""

    site: Site
    entry: Site
    entry_offset: int
    trail: tuple[str, ...] = ()

    @property
    def facts(self) -> Facts:
        """What the expression reads and calls."""
        return self.site.facts

    def through(self) -> str:
        """`, through let.a and let.b`, or nothing."""
        return f", through {' and '.join(self.trail)}" if self.trail else ""


class Closure:
    """Follows lets from any form; lets are followed once each."""

    def __init__(self, units: Mapping[str, Unit]) -> None:
        self._lets = {name: unit for name, unit in units.items() if unit.sort == "let"}

    def of(self, forms: Iterable[Compiled]) -> Iterator[Reached]:
        """Every expression in `forms` and in the lets that they read, near ones first."""
        seen: set[str] = set()
        waiting: list[Reached] = []
        for form in forms:
            waiting += [Reached(site, site, 0) for site in sites_of(form)]
        while waiting:
            reached = waiting.pop(0)
            yield reached
            for ref in reached.facts.refs:
                name = f"let.{ref.path[1]}" if ref.path[0] == "let" and len(ref.path) > 1 else ""
                if not name or name in seen or name not in self._lets:
                    continue
                seen.add(name)
                offset = reached.entry_offset if reached.trail else ref.offset
                for use in self._lets[name].uses:
                    waiting += [
                        Reached(site, reached.entry, offset, (*reached.trail, name))
                        for site in sites_of(use.form)
                    ]

    def reads(self, forms: Iterable[Compiled]) -> frozenset[tuple[str, ...]]:
        """The root paths that `forms` may read, lets resolved."""
        return frozenset(ref.path for reached in self.of(forms) for ref in reached.facts.refs)

    def null_tests(self, forms: Iterable[Compiled]) -> frozenset[tuple[str, ...]]:
        """The paths that `forms` compare with null."""
        return frozenset(path for reached in self.of(forms) for path in reached.facts.null_tests)
