"""The types of the names that expressions read: `self`, `obs`, `let`, `act` and the others.

Types of lets and observations are found when first asked for, in whatever order they need each other;
circles were reported before and read as `any`. Neighbours: `conform` asks for types of forms, `names`
says which roots exist where.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from engine.expr import Type, infer, type_of_schema
from engine.expr.facts import Path, holds_when
from engine.expr.parse import Node
from engine.expr.types import ANY, BOOLEAN, STRING, joined, of_literal
from engine.ruleset.catalog import Catalog
from engine.ruleset.forms import AllForm, CasesForm, Compiled, ListForm, LiteralForm, MapForm, TemplateForm
from engine.ruleset.units import Schema, Unit, Use, job_schema

_NUMBER: Final = Type("number")
_SENT: Final = Type("object", nullable=True, fields={"at": Type("timestamp"), "key": STRING})
_ERROR: Final = Type("object", nullable=True, fields={"code": STRING, "message": STRING})


class Lazy(Mapping[str, Type]):
    """Types by name, found when first asked for."""

    def __init__(self, names: frozenset[str], find: Callable[[str], Type]) -> None:
        self._names = names
        self._find = find
        self._known: dict[str, Type] = {}

    def __getitem__(self, name: str) -> Type:
        if name not in self._names:
            raise KeyError(name)
        if name not in self._known:
            self._known[name] = ANY
            self._known[name] = self._find(name)
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._names))

    def __len__(self) -> int:
        return len(self._names)


class RootTypes:
    """The types of one rule's names."""

    def __init__(self, units: Mapping[str, Unit], catalog: Catalog, schema: Schema) -> None:
        self._units = units
        self._base = {
            "self": type_of_schema(schema),
            "obs": self._namespace("obs", self._observed),
            "let": self._namespace("let", self._let),
            "act": self._namespace("act", self._act, "final"),
            "cond": self._namespace("cond", lambda _: BOOLEAN, extra=frozenset({"Ready"})),
            "sent": self._namespace("act", lambda _: _SENT, "final"),
            "job": self._jobs(),
            "settings": Type(
                "object", fields={name: type_of_schema(flag) for name, flag in catalog.flags.items()}
            ),
            "engine": Type(
                "object", fields={name: type_of_schema(item) for name, item in catalog.engine.items()}
            ),
            "now": _NUMBER,
            "once": Type("object", fields={"target": STRING}),
        }

    def _namespace(
        self, sort: str, find: Callable[[str], Type], other: str = "", extra: frozenset[str] = frozenset()
    ) -> Type:
        names = {name.partition(".")[2] for name, unit in self._units.items() if unit.sort in (sort, other)}
        return Type("object", fields=Lazy(frozenset(names) | extra, find))

    def _jobs(self) -> Type:
        jobs = {name.partition(".")[2]: unit for name, unit in self._units.items() if unit.sort == "act"}
        schemas = {
            name: job_schema(unit.step.job)
            for name, unit in jobs.items()
            if unit.step is not None and unit.step.job is not None
        }
        return Type("object", fields={name: type_of_schema(schema) for name, schema in schemas.items()})

    def of(self, unit: Unit, use: Use, roots: frozenset[str]) -> dict[str, Type]:
        """The names that `use` of `unit` can read."""
        types = {name: found for name, found in self._base.items() if name in roots}
        if "made" in roots:
            types["made"] = type_of_schema(unit.made_schema or {})
        if "event" in roots and unit.event is not None:
            types["event"] = Type(
                "object", fields={name: type_of_schema(item) for name, item in unit.event.items()}
            )
        if use.locals:
            types |= {name: self._item(form) for name, form in unit.locals.items() if name}
        return types

    def _item(self, items: Compiled) -> Type:
        found = self.of_form(items)
        return found.items or ANY if found.kind == "array" else ANY

    def of_form(
        self, form: Compiled, types: Mapping[str, Type] | None = None, current: Type | None = None,
        facts: frozenset[Path] = frozenset(),
    ) -> Type:  # fmt: skip
        """The type of a form; mistakes in it are not reported here."""
        names = self._base if types is None else types
        if isinstance(form, LiteralForm):
            return of_literal(form.value)
        if isinstance(form, TemplateForm):
            return infer(form.sites[0].expression, names, current, facts=facts).type if form.whole else STRING
        if isinstance(form, AllForm):
            return BOOLEAN
        if isinstance(form, ListForm):
            return Type(
                "array", items=_either([self.of_form(item, names, current, facts) for item in form.items])
            )
        if isinstance(form, CasesForm):
            return self._of_cases(form, names, current, facts)
        return self._of_map(form, names, current, facts)

    def _of_cases(
        self, form: CasesForm, names: Mapping[str, Type], current: Type | None, facts: frozenset[Path]
    ) -> Type:
        ends = [end for end in (form.otherwise, form.initially) if end is not None]
        found = [self.of_form(end, names, current, facts) for end in ends]
        for case in form.cases:
            known = facts | self.facts_when(case.when, True)
            found += [self.of_form(case.value, names, current, known)]
        return _either(found)

    def _of_map(
        self, form: MapForm, names: Mapping[str, Type], current: Type | None, facts: frozenset[Path]
    ) -> Type:
        fields: dict[str, Type] = {}
        for entry in form.entries:
            found = self.of_form(entry.form, names, current, facts)
            fields[entry.key] = found.or_null() if entry.optional and found.kind != "any" else found
        is_open = any(entry.key_form is not None for entry in form.entries)
        return Type("object", fields=fields, open=is_open)

    def _let(self, name: str) -> Type:
        uses = self._units[f"let.{name}"].uses
        return self.of_form(uses[0].form) if uses else ANY

    def _observed(self, name: str) -> Type:
        unit = self._units[f"obs.{name}"]
        answer = self.answer(unit)
        if unit.pick is not None:
            use = Use(unit.pick, "pick")
            types = {**self._base, **({} if not unit.locals else self.of(unit, use, frozenset(self._base)))}
            picked = self.of_form(unit.pick, types, self.current(unit))
            answer = picked.or_null() if answer.nullable and _selects(unit.pick) else picked
        if not unit.for_each:
            return answer
        # `value` is null only where `ok` is false, and who reads it has asked `ok`.
        fields = {"key": STRING, "ok": BOOLEAN, "value": answer, "error": _ERROR}
        return Type("array", items=Type("object", fields=fields))

    def answer(self, unit: Unit) -> Type:
        """The type of what a read gives before `pick`."""
        return type_of_schema(unit.value_schema) if unit.value_schema else ANY

    def current(self, unit: Unit) -> Type:
        """The type of `@` in a `pick`. Selecting fields of null gives null, so there they are there."""
        answer = self.answer(unit)
        return answer.not_null() if unit.pick is not None and _selects(unit.pick) else answer

    def _act(self, name: str) -> Type:
        unit = self._units.get(f"act.{name}") or self._units[f"final.{name}"]
        return type_of_schema(unit.value_schema) if unit.value_schema else ANY

    def facts_when(self, form: Compiled, outcome: bool, depth: int = 0) -> frozenset[Path]:
        """The paths that are surely not null when a test comes out as `outcome`, lets resolved."""
        if isinstance(form, AllForm):
            parts = [self.facts_when(test, True, depth) for test in form.tests] if outcome else []
            return frozenset().union(*parts)
        if not isinstance(form, TemplateForm) or not form.whole or depth > 8:
            return frozenset()
        node = form.sites[0].expression.node
        facts = set(holds_when(node, outcome, None))
        for name, came_out in _let_tests(node, outcome):
            unit = self._units.get(f"let.{name}")
            if unit is not None and unit.uses:
                facts |= self.facts_when(unit.uses[0].form, came_out, depth + 1)
        for path in tuple(facts):
            facts |= self._behind(path, depth)
        return frozenset(facts)

    def _behind(self, path: Path, depth: int) -> frozenset[Path]:
        """A let that is only a path is not null when that path is not."""
        unit = self._units.get(f"let.{path[1]}") if path[0] == "let" and len(path) > 1 else None
        form = unit.uses[0].form if unit is not None and unit.uses else None
        if not isinstance(form, TemplateForm) or not form.whole or depth > 8:
            return frozenset()
        behind = form.sites[0].facts.path
        if behind is None:
            return frozenset()
        whole = (*behind, *path[2:])
        prefixes = frozenset(whole[:end] for end in range(1, len(whole) + 1))
        return prefixes | self._behind(whole, depth + 1)


def _selects(form: Compiled) -> bool:
    if not isinstance(form, TemplateForm) or not form.whole:
        return False
    return form.sites[0].expression.node.type in ("multi_select_dict", "multi_select_list")


def _either(found: list[Type]) -> Type:
    result = found[0] if found else ANY
    for other in found[1:]:
        result = joined(result, other)
    return result


def _let_tests(node: Node, outcome: bool) -> list[tuple[str, bool]]:
    """The lets that stand as tests in a test, with how they came out."""
    if node.type == "not_expression":
        return _let_tests(node.children[0], not outcome)
    if node.type == ("and_expression" if outcome else "or_expression"):
        return [test for child in node.children for test in _let_tests(child, outcome)]
    first = node.children[0] if node.type == "subexpression" else None
    if (
        first is not None
        and first.type == "field"
        and first.value in ("let", "$let")
        and node.children[1].type == "field"
    ):
        return [(node.children[1].value, outcome)]
    return []
