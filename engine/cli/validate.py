"""`talos-operator validate`: every mistake of rule files at once, for people and for programs.

Reads files and nothing else; imports no client of any kind, so that it answers within a breath.
Neighbours: `ruleset.load` finds the mistakes, `failures` gives the form in which they are told.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from engine.cli.failures import FAILED, Failure

if TYPE_CHECKING:
    from engine.ruleset.errors import RuleError
    from engine.ruleset.model import RuleSet


@click.command("validate", short_help="Check rule files; shows every mistake with its place.")
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option(
    "-o", "--output", type=click.Choice(["text", "json"]), default="text", help="Form of the answer."
)
def command(paths: Sequence[Path], output: str) -> int:
    """Check the rule files and folders PATHS; without any, the shipped ones.

    Shape, names, types and safety are checked, across files. A folder means its *.yaml files, their chapters and its parts/.

    \b
    Examples:
      talos-operator validate
      talos-operator validate my-rules/ extra/imageprepull.yaml
      talos-operator validate -o json my-rules/ | jq '.errors[] | .file, .line'

    Ends with 0 when there is no mistake, 1 when there is, 2 when PATHS cannot be read.
    """
    from engine.base.assets import asset
    from engine.ruleset.catalog import load_catalog
    from engine.ruleset.errors import RuleErrors
    from engine.ruleset.load import load_rules

    started = time.perf_counter()
    errors: Sequence[RuleError] = ()
    loaded: RuleSet | None = None
    try:
        loaded = load_rules(tuple(paths) or (asset("rules"),), load_catalog(asset("schemas")))
    except RuleErrors as found:
        errors = found.errors
    if output == "json":
        click.echo(json.dumps({"errors": [_as_data(error) for error in errors]}, indent=2))
    elif loaded is not None:
        names = ", ".join(sorted(kind.name for kind in loaded.rules)) or "no kind"
        click.echo(f"no mistakes in rules for {names} ({time.perf_counter() - started:.2f} s)")
    else:
        tell(errors)
    return FAILED if errors else 0


def _as_data(error: RuleError) -> dict[str, Any]:
    return {
        "file": error.file,
        "line": error.line,
        "column": error.column,
        "code": error.code,
        "message": error.message,
        "hint": error.hint,
    }


def tell(errors: Sequence[RuleError]) -> None:
    """Show every mistake with its place on stderr, and how many there are."""
    for error in errors:
        place = f"{error.file}:{error.line}:{error.column} [{error.code}]"
        excerpt = "".join(f"\n  {line}" for line in error.excerpt.splitlines())
        click.echo(f"{Failure(error.message, place + excerpt, error.hint)}\n", err=True)
    files = len({error.file for error in errors})
    click.echo(f"{_count(len(errors), 'mistake')} in {_count(files, 'file')}", err=True)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
