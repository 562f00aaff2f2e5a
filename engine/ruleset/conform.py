"""Every form of a rule against the type its place wants.

Reports what `infer` finds in expressions, keys and values that a schema does not know, nulls and
secrets where they may not go, and tests that are no booleans. Neighbours: `root_types` gives the types
of names, `check` runs it after the names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from engine.expr import Type, infer
from engine.expr.facts import Path
from engine.expr.types import of_literal
from engine.ruleset.accepts import fits, is_open, kinds, stranger, takes_null, words
from engine.ruleset.closure import Closure
from engine.ruleset.errors import Report, suggest
from engine.ruleset.forms import (
    AllForm,
    CasesForm,
    Compiled,
    ListForm,
    LiteralForm,
    MapForm,
    Site,
    TemplateForm,
)
from engine.ruleset.names import Names
from engine.ruleset.root_types import RootTypes
from engine.ruleset.units import Schema, Unit, Use

_STRICT: Final = frozenset({"when", "gate", "test", "until", "guard", "label"})
"""Roles in which a value that may be null is a mistake."""
_TEXTS: Final = frozenset({"string", "timestamp"})
_BOOLEAN: Final[Schema] = {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class _At:
    """What is known in one use: names, the current value, surely present paths, the use itself."""

    unit: Unit
    use: Use
    types: Mapping[str, Type]
    current: Type | None
    facts: frozenset[Path]


class Typing:
    """Checks the forms of one rule."""

    def __init__(self, roots: RootTypes, names: Names, closure: Closure, report: Report) -> None:
        self._roots = roots
        self._names = names
        self._closure = closure
        self._report = report

    def check(self, unit: Unit) -> None:
        """All forms of a unit."""
        for use in unit.uses:
            facts: frozenset[Path] = frozenset()
            for form, outcome in use.guards:
                facts |= self._roots.facts_when(form, outcome)
            facts |= _present(unit)
            types = self._roots.of(unit, use, self._names.roots(unit, use))
            current = self._roots.current(unit) if use.role == "pick" else None
            self._conform(use.form, use.schema, _At(unit, use, types, current, facts))

    def _conform(self, form: Compiled, schema: Schema | None, at: _At) -> None:
        if isinstance(form, CasesForm):
            self._cases(form, schema, at)
        elif isinstance(form, AllForm):
            for test in form.tests:
                self._conform(test, _BOOLEAN, at)
        elif isinstance(form, MapForm):
            self._map(form, schema, at)
        elif isinstance(form, ListForm):
            self._list(form, schema, at)
        elif isinstance(form, LiteralForm):
            self._compare(form, of_literal(form.value), schema, at)
        else:
            self._template(form, schema, at)

    def _cases(self, form: CasesForm, schema: Schema | None, at: _At) -> None:
        facts = at.facts
        for case in form.cases:
            here = _At(at.unit, at.use, at.types, at.current, facts)
            self._conform(case.when, _BOOLEAN, here)
            known = facts | self._roots.facts_when(case.when, True)
            self._conform(case.value, schema, _At(at.unit, at.use, at.types, at.current, known))
            facts |= self._roots.facts_when(case.when, False)
        for end in (form.otherwise, form.initially):
            if end is not None:
                self._conform(end, schema, _At(at.unit, at.use, at.types, at.current, facts))
        if form.initially is not None:
            status = at.types["self"].fields.get("status") if "self" in at.types else None
            if status is not None and form.field not in status.fields:
                node = form.initially.node
                message = f"`initially` asks self.status.{form.field}, and the status has no such field"
                self._report.add(node, "initially-field", message, suggest(form.field, status.fields))

    def _template(self, form: TemplateForm, schema: Schema | None, at: _At) -> None:
        for site in form.sites:
            found = self._infer(site, at)
            if found is None:
                return
            if form.whole:
                self._compare(form, found, schema, at)
            else:
                self._inside_text(site, found, at)
        if not form.whole and schema is not None:
            self._compare(form, Type("string"), schema, at)

    def _infer(self, site: Site, at: _At) -> Type | None:
        misplaced = not at.use.made and any(ref.path[0] == "made" for ref in site.facts.refs)
        if site in self._names.wrong or misplaced:
            return None
        result = infer(site.expression, at.types, at.current, facts=at.facts)
        for issue in result.issues:
            self._report.add(
                site.node, issue.code, issue.message, issue.hint, offset=site.offset + issue.offset
            )
        return None if result.issues else result.type

    def _inside_text(self, site: Site, found: Type, at: _At) -> None:
        text = f"`{site.expression.text}`"
        if found.kind == "opaque":
            self._add(
                site,
                "secret-leak",
                f"{text} is a secret and cannot stand inside text",
                "secrets go to Secret data and `with` only",
            )
        elif found.kind in ("omit", "remove", "array", "object"):
            self._add(site, "wrong-type", f"{text} is a {found}; only a scalar can stand inside text", "")
        elif found.nullable:
            self._add(
                site,
                "null-in-text",
                f"{text} may be null, which cannot stand inside text",
                "use default(x, ...), or guard it with a test for null",
            )

    def _compare(self, form: Compiled, found: Type, schema: Schema | None, at: _At) -> None:
        """A value of type `found` goes where `schema` is wanted."""
        role = at.use.role
        if found.kind == "opaque" and not at.use.opaque and schema is not None:
            self._at_form(
                form,
                "secret-leak",
                "a secret may not go here",
                "secrets go to Secret data, `with` and identity only",
            )
            return
        if found.kind == "remove" and role != "status":
            self._at_form(
                form,
                "misplaced-null",
                "`null()` takes a field away; only `status` has fields to take away",
                "use omit()",
            )
            return
        if schema is None or found.kind in ("any", "omit", "remove"):
            return
        wanted = kinds(schema)
        if found.kind == "null":
            if not takes_null(schema):
                self._at_form(
                    form,
                    "null-given",
                    "null is not absent, and it may not be given here",
                    "leave the key out, or use omit()",
                )
            return
        if wanted and not fits(found, wanted):
            code = "not-boolean" if wanted == {"boolean"} and role in _STRICT else "wrong-type"
            self._at_form(form, code, f"this is a {found.not_null()}; {words(wanted)} is wanted", "")
            return
        if found.nullable and role in _STRICT and not takes_null(schema):
            self._at_form(
                form,
                "may-be-null",
                "this may be null, which is neither true nor false"
                if wanted == {"boolean"}
                else "this may be null",
                "use default(x, ...), or compare with null first",
            )
        self._enum(form, found, schema)
        self._pattern(form, schema)
        unknown = stranger(found, schema)
        if unknown:
            self._at_form(
                form,
                "unknown-key",
                f"this has a key `{unknown}`, which does not exist here",
                suggest(unknown, schema.get("properties", {})),
            )

    def _enum(self, form: Compiled, found: Type, schema: Schema) -> None:
        choices = {item for item in schema.get("enum") or () if isinstance(item, str)}
        for word in sorted(found.enum - choices) if choices else ():
            self._at_form(
                form, "not-in-enum", f"`{word}` is none of the words allowed here", suggest(word, choices)
            )

    def _pattern(self, form: Compiled, schema: Schema) -> None:
        text = form.value if isinstance(form, LiteralForm) else None
        pattern = schema.get("pattern")
        if isinstance(text, str) and isinstance(pattern, str) and not re.search(pattern, text):
            self._at_form(
                form,
                "wrong-value",
                f"`{text}` does not have the form that is wanted here",
                f"it must match {pattern}",
            )

    def _list(self, form: ListForm, schema: Schema | None, at: _At) -> None:
        items = None
        if schema is not None:
            wanted = kinds(schema)
            if wanted and "array" not in wanted:
                self._at_form(form, "wrong-type", f"this is a list; {words(wanted)} is wanted", "")
                return
            items = schema.get("items")
        for item in form.items:
            self._conform(item, items, at)

    def _map(self, form: MapForm, schema: Schema | None, at: _At) -> None:
        wanted = kinds(schema) if schema is not None else set()
        if wanted and "object" not in wanted:
            self._at_form(form, "wrong-type", f"this is a map; {words(wanted)} is wanted", "")
            return
        known: Mapping[str, Any] = (schema or {}).get("properties", {})
        other = (schema or {}).get("additionalProperties")
        free = (
            schema is None or not (known or other is False or isinstance(other, Mapping)) or is_open(schema)
        )
        misspelt = False
        for entry in form.entries:
            if entry.key_form is not None:
                self._conform(entry.key_form, {"type": "string"}, at)
            inner = known.get(entry.key, other if isinstance(other, Mapping) else None)
            if inner is None and not free and entry.key_form is None:
                misspelt = True
                self._report.add(
                    entry.key_node,
                    "unknown-key",
                    f"there is no key `{entry.key}` here",
                    suggest(entry.key, known),
                )
            self._conform(entry.form, inner, at)
            required = entry.key in (schema or {}).get("required", ())
            if inner is not None and not required and entry.key in known:
                self._absent_as_null(entry.form, inner, at)
        if not misspelt:
            self._missing(form, schema, at)

    def _missing(self, form: MapForm, schema: Schema | None, at: _At) -> None:
        if schema is None or at.use.partial:
            return
        there = {entry.key for entry in form.entries}
        for name in schema.get("required", ()):
            if name not in there and "default" not in schema.get("properties", {}).get(name, {}):
                self._at_form(form, "missing-key", f"`{name}` is missing here", "")

    def _absent_as_null(self, form: Compiled, schema: Schema, at: _At) -> None:
        """An object that is not there, given as null to a key that may be left out, reads as "not given"."""
        if at.use.role not in ("with", "make", "request") or takes_null(schema):
            return
        if not isinstance(form, TemplateForm) or not form.whole or form.sites[0] in self._names.wrong:
            return
        found = infer(form.sites[0].expression, at.types, at.current, facts=at.facts).type
        path = form.sites[0].facts.path
        if not found.nullable or path is None or (found.kind == "opaque" and not at.use.opaque):
            return
        reads = {path, *self._closure.reads([form])}
        observed = {item for item in reads if item[0] == "obs"}
        guards = self._closure.null_tests([guard for guard, _ in at.use.guards])
        if observed and not any(item[: len(guard)] == guard for item in reads for guard in guards):
            name = ".".join(min(observed))
            message = f'`{name}` may be absent; null would then be taken for "not given"'
            self._at_form(form, "null-as-absent", message, f"add `when: ${{{name} != `null`}}`")

    def _at_form(self, form: Compiled, code: str, message: str, hint: str) -> None:
        if isinstance(form, TemplateForm):
            self._add(form.sites[0], code, message, hint)
        else:
            self._report.add(form.node, code, message, hint)

    def _add(self, site: Site, code: str, message: str, hint: str) -> None:
        self._report.add(site.node, code, message, hint, offset=site.offset)


def _present(unit: Unit) -> frozenset[Path]:
    form = unit.present
    path = form.sites[0].facts.path if isinstance(form, TemplateForm) and form.whole else None
    return frozenset(path[:end] for end in range(1, len(path) + 1)) if path else frozenset()
