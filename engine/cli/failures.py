"""The one form in which the command line says that something went wrong.

    error: what is the matter
      where it is the matter
      hint: what to do about it

Knows every deliberate error of the engine and its exit code; never prints a traceback for one.
Neighbour: `program` catches, this module explains.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import click

from engine.base.errors import Denied, EngineError, RemoteError, SettingsError, Unreachable

FAILED: Final = 1
MISUSED: Final = 2


@dataclass(frozen=True, slots=True)
class Failure:
    """What is told of an error; `code` is the exit code of the program."""

    what: str
    where: str = ""
    hint: str = ""
    code: int = FAILED

    def __str__(self) -> str:
        first, *more = self.what.strip().splitlines() or ["failed"]
        lines = [f"error: {first}", *(f"  {line}" for line in more)]
        if self.where:
            lines.append(f"  {self.where}")
        if self.hint:
            lines.append(f"  hint: {self.hint}")
        return "\n".join(lines)


class CommandFailed(EngineError):
    """A command could not do what it was asked; carries what to tell."""

    def __init__(self, what: str, *, where: str = "", hint: str = "", code: int = FAILED) -> None:
        super().__init__(what)
        self.failure = Failure(what, where, hint, code)


def explain(error: Exception) -> Failure | None:
    """How to tell `error`; None for one that nobody raised on purpose."""
    if isinstance(error, CommandFailed):
        return error.failure
    if isinstance(error, click.ClickException):
        return _misuse(error)
    if isinstance(error, SettingsError):
        return Failure(str(error), hint="talos-operator COMMAND --help shows every flag", code=MISUSED)
    if isinstance(error, RemoteError):
        where = " ".join(part for part in (error.operation, error.source) if part)
        return Failure(error.message, where=where and f"in {where}", hint=_remote_hint(error))
    if isinstance(error, EngineError):
        return Failure(str(error))
    if isinstance(error, OSError) and error.strerror:
        return Failure(error.strerror.lower(), where=str(error.filename or ""))
    return None


def _misuse(error: click.ClickException) -> Failure:
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "talos-operator"
    return Failure(error.format_message(), hint=f"{command} --help", code=MISUSED)


def _remote_hint(error: RemoteError) -> str:
    if isinstance(error, Denied):
        return "look at the credentials and roles that this kubeconfig names"
    return "is the other side running?" if isinstance(error, Unreachable) else ""
