"""The one error of this package: what is wrong with a configuration, and where.

Never carries a value of the configuration that may be a secret. Neighbours: all of the package.
"""

from __future__ import annotations

from engine.base.errors import EngineError


class ConfigError(EngineError):
    """A configuration, a patch or a bundle cannot be used.

    `path` is dotted (`machine.install.disk`, `HostnameConfig: auto`) and "" for the whole text;
    `reason` is one word: Syntax, Duplicate, UnknownKind, UnknownKey, WrongType, InvalidValue,
    NotFound, MergeConflict, Conflict, Unsupported or Invalid; `line` counts from 1, 0 when unknown.
    """

    def __init__(self, reason: str, message: str, *, path: str = "", line: int = 0) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.path = path
        self.line = line

    def __str__(self) -> str:
        where = f"{self.path}: " if self.path else ""
        return f"{where}{self.message}{f' (line {self.line})' if self.line else ''}"
