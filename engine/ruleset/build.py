"""Nodes of a rule file to forms: finds `${...}`, `cases:`, `key?:`, and compiles each expression once.

Reports expressions that cannot be parsed, at the place inside the text, and goes on. Never checks
names or types. Neighbours: `forms` holds the results, `compile_context` asks for them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from engine.base.values import OMIT
from engine.base.yamlnodes import ListNode, MapNode, Node, ScalarNode
from engine.expr import Expression, ExpressionSyntaxError, compile_scalar
from engine.ruleset.errors import Report, suggest
from engine.ruleset.forms import (
    Case,
    CasesForm,
    Compiled,
    Entry,
    ListForm,
    LiteralForm,
    MapForm,
    Site,
    TemplateForm,
)
from engine.ruleset.references import facts_of

_CASES: Final = ("cases", "else", "initially")
_BARE: Final = re.compile(
    r"(self|obs|let|act|cond|sent|job|once|made|event|engine|settings)\.[A-Za-z_][\w.]*"
)


class Builder:
    """Makes forms. `is_unset_spec` tells whether a null of an expression means an unset spec field."""

    def __init__(self, report: Report, is_unset_spec: Callable[[Expression], bool]) -> None:
        self._report = report
        self._is_unset_spec = is_unset_spec
        self._picked = False
        self.failed = False
        """Whether an expression could not be read, so that not everything it names is known."""
        self._known: dict[int, tuple[Node, Compiled]] = {}

    def form(self, node: Node, field: str = "", *, picked: bool = False) -> Compiled:
        """The form of a node; the same node gives the same form. `field`: the key that holds it;
        `picked`: bare names in it belong to the answer of a read.
        """
        self._picked = picked
        known = self._known.get(id(node))
        if known is None:
            known = self._known[id(node)] = (node, self._make(node, field))
        return known[1]

    def _inner(self, node: Node, field: str = "") -> Compiled:
        return self.form(node, field, picked=self._picked)

    def _make(self, node: Node, field: str) -> Compiled:
        if isinstance(node, ScalarNode):
            return self._scalar(node)
        if isinstance(node, ListNode):
            return ListForm(node, tuple(self._inner(item, field) for item in node.items))
        if "cases" in node.keys:
            return self._cases(node, field)
        return MapForm(node, tuple(self._entry(node, key) for key in node.keys))

    def _scalar(self, node: ScalarNode) -> Compiled:
        if not isinstance(node.value, str):
            return LiteralForm(node, node.value)
        template = self._template(node)
        if template is not None:
            return template
        if "${" not in node.value and not node.style and _BARE.fullmatch(node.value):
            self._report.add(
                node,
                "bare-expression",
                f"`{node.value}` is text here, not an expression",
                f"write ${{{node.value}}}",
            )
        return LiteralForm(node, node.value)

    def _template(self, node: ScalarNode) -> TemplateForm | LiteralForm | None:
        try:
            template = compile_scalar(node.text)
        except ExpressionSyntaxError as error:
            self._report_syntax(node, error)
            self.failed = True
            return LiteralForm(node, OMIT)
        if template is None:
            return None
        if not template.expressions:
            return LiteralForm(node, "".join(part for part in template.parts if isinstance(part, str)))
        sites = tuple(
            Site(expression, node, expression.offset, facts_of(expression, picked=self._picked))
            for expression in template.expressions
        )
        return TemplateForm(node, template, sites, template.is_single)

    def _report_syntax(self, node: ScalarNode, error: ExpressionSyntaxError) -> None:
        line = node.source.lines[node.end_line - 1] if node.end_line <= len(node.source.lines) else ""
        rest = line[node.end_column - 1 :]
        if not node.style and rest.lstrip().startswith("#") and "}" in rest:
            hint = "a ` #` begins a comment and cuts this value: put the whole `${...}` in quotes"
            self._report.add_at(
                node.source,
                node.end_line,
                node.end_column + len(rest) - len(rest.lstrip()),
                "expression",
                error.message,
                hint,
            )
            return
        self._report.add(node, "expression", error.message, error.hint, offset=error.offset)

    def _entry(self, node: MapNode, key: str) -> Entry:
        key_node, value = node.keys[key], node.values[key]
        name, optional = (key[:-1], True) if key.endswith("?") else (key, False)
        template = self._template(key_node) if "${" in key else None
        key_form = template if isinstance(template, TemplateForm) else None
        form = self._inner(value, name)
        null_drops = (
            optional
            and isinstance(form, TemplateForm)
            and form.whole
            and self._is_unset_spec(form.sites[0].expression)
        )
        return Entry(name, key_node, key_form, form, optional, null_drops)

    def _cases(self, node: MapNode, field: str) -> Compiled:
        for key, key_node in node.keys.items():
            if key not in _CASES:
                self._report.add(
                    key_node, "unknown-key", f"unknown key `{key}` beside `cases`", suggest(key, _CASES)
                )
        lines = node.values["cases"]
        cases: list[Case] = []
        for line in lines.items if isinstance(lines, ListNode) else ():
            if isinstance(line, MapNode) and set(line.keys) == {"when", "value"}:
                cases.append(Case(self._inner(line.values["when"]), self._inner(line.values["value"], field)))
            else:
                self._report.add(
                    line,
                    "wrong-case",
                    "a case is a map of `when` and `value`",
                    '`- {when: "${...}", value: ...}`',
                )
        if not isinstance(lines, ListNode) or not lines.items:
            self._report.add(lines, "wrong-case", "`cases` must be a list of `{when, value}`")
        ends = {
            key: self._inner(node.values[key], field) for key in ("else", "initially") if key in node.values
        }
        return CasesForm(node, tuple(cases), ends.get("else"), ends.get("initially"), field)
