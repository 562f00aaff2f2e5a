"""The engine's own source as data, for the tests about its form."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Source:
    """One module: its dotted name, its text and its syntax tree."""

    name: str
    path: Path
    text: str
    tree: ast.Module

    @property
    def where(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @property
    def lines(self) -> int:
        return self.text.count("\n")

    def imports(self) -> Iterator[tuple[int, str]]:
        """(line, module) of every import, inside functions and under TYPE_CHECKING as well."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                if node.module in {"engine", "engine.ports"}:
                    yield from (
                        (node.lineno, name)
                        for alias in node.names
                        if (name := _module(node.module, alias.name))
                    )
                else:
                    yield node.lineno, node.module

    def texts(self) -> Iterator[tuple[int, str]]:
        """(line, value) of every literal text that is no docstring, parts of f-strings included."""
        docs = {id(node.value) for node in ast.walk(self.tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
                yield node.lineno, node.value


def _module(package: str, name: str) -> str | None:
    """`from package import name` as a module; None where `name` is an attribute."""
    place = ROOT.joinpath(*package.split("."), name)
    return f"{package}.{name}" if place.is_dir() or place.with_suffix(".py").exists() else None


@lru_cache
def engine() -> tuple[Source, ...]:
    """Every module of the package, in order of its name."""
    return tuple(_source(path) for path in sorted((ROOT / "engine").rglob("*.py")))


def within(source: Source, *packages: str) -> bool:
    """Whether a module is one of `packages` (`engine.cli`) or inside one."""
    return any(source.name == package or source.name.startswith(package + ".") for package in packages)


@lru_cache
def project() -> dict[str, Any]:
    """pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def _source(path: Path) -> Source:
    parts = path.relative_to(ROOT).with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    text = path.read_text("utf-8")
    return Source(name, path, text, ast.parse(text, str(path)))
