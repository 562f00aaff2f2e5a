"""Mistakes in rule files: each with its place, a code, a message and what to do.

Collects instead of raising, so that one run shows all of them; `RuleErrors` is raised once, at the
end. Never decides what is a mistake. Neighbours: every module of this package adds to a `Report`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from engine.base.errors import EngineError
from engine.base.yamlnodes import Node, ScalarNode, YamlProblems, YamlSource, position_in


@dataclass(frozen=True, slots=True, order=True)
class RuleError:
    """One mistake. Line and column count from 1; `excerpt` is the source line and a caret below it."""

    file: str
    line: int
    column: int
    code: str
    message: str
    hint: str = ""
    excerpt: str = ""

    def __str__(self) -> str:
        lines = [f"{self.file}:{self.line}:{self.column}: {self.message} [{self.code}]"]
        if self.excerpt:
            lines.append(self.excerpt)
        if self.hint:
            lines.append(f"  hint: {self.hint}")
        return "\n".join(lines)


class RuleErrors(EngineError):
    """The rules cannot be used. `errors` holds every mistake, ordered by file and place."""

    def __init__(self, errors: tuple[RuleError, ...]) -> None:
        super().__init__("\n".join(str(error) for error in errors))
        self.errors = errors


class Report:
    """The mistakes found so far; the same one is kept once, however many rules share a part."""

    def __init__(self) -> None:
        self._errors: set[RuleError] = set()

    def add(self, node: Node, code: str, message: str, hint: str = "", *, offset: int | None = None) -> None:
        """A mistake at `node`, or at character `offset` of its text."""
        line, column = node.line, node.column
        if offset is not None and isinstance(node, ScalarNode):
            line, column = position_in(node, offset)
        self.add_at(node.source, line, column, code, message, hint)

    def add_at(
        self, source: YamlSource, line: int, column: int, code: str, message: str, hint: str = ""
    ) -> None:
        """A mistake at a place of a file."""
        text = source.lines[line - 1] if 0 < line <= len(source.lines) else ""
        self._errors.add(RuleError(source.name, line, column, code, message, hint, excerpt(text, column)))

    def add_yaml(self, problems: YamlProblems) -> None:
        """Everything that made a file unreadable."""
        for problem in problems.problems:
            self.add_at(problems.source, problem.line, problem.column, "yaml", problem.message, problem.hint)

    def add_file(self, name: str, code: str, message: str, hint: str = "") -> None:
        """A mistake of a whole file."""
        self._errors.add(RuleError(name, 1, 1, code, message, hint))

    @property
    def errors(self) -> tuple[RuleError, ...]:
        """All mistakes in order of file, line and column."""
        return tuple(sorted(self._errors))

    def raise_if_any(self) -> None:
        """Raises RuleErrors when something was found."""
        if self._errors:
            raise RuleErrors(self.errors)


def excerpt(line: str, column: int) -> str:
    """The source line and a caret under `column`; long lines are cut around it."""
    start = max(0, column - 80)
    shown = line[start : start + 120].replace("\t", " ").rstrip()
    return f"    {shown}\n    {' ' * (column - 1 - start)}^"


def suggest(word: str, candidates: Iterable[str], *, listing: str = "") -> str:
    """`did you mean ...?`, or the candidates when they are few and none is near."""
    names = sorted(set(candidates))
    near = difflib.get_close_matches(word, names, 1, 0.6)
    if not near:
        folded = {name.lower(): name for name in names}
        near = [folded[word.lower()]] if word.lower() in folded else []
    if near:
        return f"did you mean `{near[0]}`?"
    if names and len(names) <= 16:
        return f"{listing or 'known here'}: {', '.join(names)}"
    return ""
