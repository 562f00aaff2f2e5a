"""Logs for people and for machines: one line an event, UTC times, no object ever printed.

Modules log through the standard library; `configure` decides the form. What may become a field is
a closed set, taken from the arguments of a message by their type: an object's key, an error's
code. Arguments that hold other values (an API object, a request) show their type only, so that no
secret gets out with them. Neighbours: `app` configures; everybody logs.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any, Final, Literal, TextIO

from engine.base.errors import RemoteError
from engine.base.kinds import Key, Kind

LogFormat = Literal["text", "json"]

_OURS: Final = "engine"
_PLAIN: Final = (str, int, float, bool, type(None), Key, Kind, BaseException, PurePath)


def configure(form: LogFormat = "text", *, level: int = logging.INFO, stream: TextIO | None = None) -> None:
    """Send all logs to `stream` (stderr): ours from `level` on, those of libraries from WARNING on."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger(_OURS).setLevel(level)


class TextLines(logging.Formatter):
    """`2026-01-31T12:00:00.000Z WARNING watch: message`; line breaks inside are escaped."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        name = record.name.removeprefix(f"{_OURS}.")
        line = f"{_time(record)} {record.levelname} {name}: {_message(record)}"
        trace = _trace(record)
        return _one_line(f"{line}\n{trace}" if trace else line)


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and the fields that apply."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        entry: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
            **_fields(record),
        }
        trace = _trace(record)
        if trace:
            entry["trace"] = trace
        return json.dumps(entry, ensure_ascii=False)


def _time(record: logging.LogRecord) -> str:
    text = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def _message(record: logging.LogRecord) -> str:
    arguments = record.args
    if not arguments or not isinstance(record.msg, str) or not record.name.startswith(_OURS):
        return record.getMessage()
    if isinstance(arguments, Mapping):
        return record.msg % {name: _shown(value) for name, value in arguments.items()}
    return record.msg % tuple(_shown(value) for value in arguments)


def _shown(value: object) -> object:
    """The argument itself where its text is safe, else the name of its type."""
    return value if isinstance(value, _PLAIN) else f"<{type(value).__name__}>"


def _fields(record: logging.LogRecord) -> dict[str, str]:
    fields: dict[str, str] = {}
    for value in record.args if isinstance(record.args, tuple) else ():
        if isinstance(value, Key):
            fields |= {"kind": value.kind.name, "namespace": value.namespace, "name": value.name}
        elif isinstance(value, RemoteError):
            told = {"code": value.code, "source": value.source, "operation": value.operation}
            fields |= {"sent": value.sent, **{name: text for name, text in told.items() if text}}
    return fields


def _trace(record: logging.LogRecord) -> str:
    if record.exc_info is None or record.exc_info[0] is None:
        return ""
    return logging.Formatter().formatException(record.exc_info)


def _one_line(text: str) -> str:
    return text.replace("\r", "\\r").replace("\n", "\\n")
