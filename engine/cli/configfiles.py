"""Files of the commands about configurations: read them, and write what holds keys so that only its owner can read it.

`-` is the standard input or output. Keys never meet a terminal unless they are asked for there. Never looks at
what a text means. Neighbours: `machineconfig`, `secrets`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from engine.cli.failures import FAILED, CommandFailed, Failure

if TYPE_CHECKING:
    from engine.machineconfig.checks import Problem

STANDARD: Final = "-"
FILE: Final = click.Path(exists=True, dir_okay=False, allow_dash=True)

keys_option: Final = click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="Write to FILE, which only its owner may read (mode 0600); - is the standard output, a terminal too.",
)


def read(name: str) -> str:
    """The text of a file, or of the standard input."""
    try:
        return sys.stdin.read() if name == STANDARD else Path(name).read_text("utf-8")
    except UnicodeDecodeError:
        raise CommandFailed("this is not text in UTF-8", where=name) from None


@contextmanager
def telling_where(name: str, code: int = FAILED) -> Iterator[None]:
    """Turns a mistake in what was read from `name`, a file or a flag, into one form: what is wrong, and where."""
    from engine.machineconfig.errors import ConfigError

    try:
        yield
    except ConfigError as error:
        path = "" if name.startswith("--") else error.path
        raise CommandFailed(error.message, where=place(name, path, error.line), code=code) from None


def place(name: str, path: str, line: int = 0) -> str:
    """`file:line: path`, without what is not known."""
    return ": ".join(part for part in (f"{name}:{line}" if line else name, path) if part)


def warn(name: str, problem: Problem) -> None:
    """Tell of something that does not stop the command."""
    click.echo(f"warning: {problem.message}\n  {place(name, problem.path)}", err=True)


def refuse(name: str, problem: Problem) -> None:
    """Tell of something that does."""
    click.echo(str(Failure(problem.message, place(name, problem.path))), err=True)


def write_keys(text: str, output: str | None, *, shown: str = "", replace: bool = True) -> None:
    """Give `text` where it was asked for.

    A file gets mode 0600 from the start; one that is there is overwritten only if `replace`. Without `output` a
    pipe gets the text; a terminal gets `shown`, the text without its keys, or an error where there is none.
    """
    if output is not None and output != STANDARD:
        _write_file(Path(output), text, replace=replace)
    elif output == STANDARD or not sys.stdout.isatty():
        click.echo(text, nl=False)
    elif shown:
        click.echo(shown, nl=False)
        click.echo("keys are hidden: -o FILE writes them to a file, -o - shows them", err=True)
    else:
        hint = "-o FILE writes them to a file, -o - shows them"
        raise CommandFailed("keys are not shown on a terminal", hint=hint)


def _write_file(path: Path, text: str, *, replace: bool) -> None:
    flags: Any = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if replace else os.O_EXCL)
    try:
        handle = os.open(path, flags, 0o600)
    except FileExistsError:
        hint = "keys cannot be made a second time: choose another name, or --force"
        raise CommandFailed("the file is there already", where=str(path), hint=hint) from None
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        os.fchmod(handle, 0o600)
        file.write(text)
