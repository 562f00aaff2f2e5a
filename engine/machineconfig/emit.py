"""Write plain values as YAML text, in the style of Talos (talos-config-rules 38, 39).

Promises: four spaces a level, lists below their key, literal blocks for texts of several lines,
quotes wherever a reader of YAML 1.1 or 1.2 could take a text for something else. Any writer's
output parses back to the same values. Never sorts; the caller's order is kept. Neighbour: `nodes`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from engine.machineconfig.nodes import Plain, resolve

_INDENT: Final = 4
_SAFE = re.compile(r"(?:[A-Za-z0-9_./+=$<(^;~\\]|-(?=[^ ]))[A-Za-z0-9\\_./+=@%^&*()<>|;~$'\"\[\]{},!?:# -]*")
_WORDS_OF_1_1 = re.compile(r"y|n|yes|no|on|off|true|false|null|~|<<|=", re.IGNORECASE)
_NUMBERS_OF_1_1 = re.compile(
    r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?|[-+]?[0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?"
)
_CONTROL = re.compile(r"[^\n\x20-\x7e\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")


def write_documents(documents: Iterable[Any]) -> str:
    """The documents one after the other, separated by `---`."""
    return "---\n".join(write(document) for document in documents)


def write(value: Any) -> str:
    """One document, with a newline at its end."""
    lines: list[str] = []
    if isinstance(value, Mapping) and value:
        _mapping(value, 0, lines)
    elif _is_list(value) and value:
        _sequence(value, 0, lines)
    else:
        lines.extend(_scalar(value, 0))
    return "\n".join(lines) + "\n"


def _mapping(value: Mapping[str, Any], indent: int, lines: list[str]) -> None:
    for key, item in value.items():
        _entry(" " * indent + _key(key) + ":", item, indent + _INDENT, lines)


def _entry(head: str, item: Any, indent: int, lines: list[str]) -> None:
    if isinstance(item, Mapping) and item:
        lines.append(head)
        _mapping(item, indent, lines)
    elif _is_list(item) and item:
        lines.append(head)
        _sequence(item, indent, lines)
    else:
        first, *rest = _scalar(item, indent)
        lines.append(f"{head} {first}")
        lines.extend(rest)


def _sequence(value: Sequence[Any], indent: int, lines: list[str]) -> None:
    head = " " * indent + "-"
    # Inside an item the next level goes to the next multiple of four, two columns after the dash.
    inner = indent + _INDENT
    for item in value:
        if isinstance(item, Mapping) and item:
            nested: list[str] = []
            for key, entry in item.items():
                _entry(" " * (indent + 2) + _key(key) + ":", entry, inner, nested)
            nested[0] = f"{head} {nested[0].lstrip(' ')}"
            lines.extend(nested)
        elif _is_list(item) and item:
            nested = []
            _sequence(item, indent + 2, nested)
            nested[0] = f"{head} {nested[0].lstrip(' ')}"
            lines.extend(nested)
        else:
            first, *rest = _scalar(item, inner)
            lines.append(f"{head} {first}")
            lines.extend(rest)


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _key(key: str) -> str:
    return _quoted(key) if "\n" in key or len(key) > 120 else _text(key)


def _scalar(value: Any, indent: int) -> list[str]:
    if isinstance(value, str):
        if isinstance(value, Plain):
            return [str(value)]
        if "\n" in value and _fits_block(value):
            return _block(value, indent)
        return [_text(value)]
    if isinstance(value, Mapping):
        return ["{}"]
    if _is_list(value):
        return ["[]"]
    return [json.dumps(value) if not isinstance(value, float) else _float(value)]


def _float(value: float) -> str:
    if math.isfinite(value):
        return repr(value)
    return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"


def _fits_block(text: str) -> bool:
    return text.strip("\n") != "" and text[0] not in " \n\t" and not _CONTROL.search(text)


def _block(text: str, indent: int) -> list[str]:
    body = text.rstrip("\n")
    endings = len(text) - len(body)
    mark = {0: "|-", 1: "|"}.get(endings, "|+")
    pad = " " * indent
    lines = [pad + line if line else "" for line in body.split("\n")]
    return [mark, *lines, *[""] * (endings - 1)]


@lru_cache(maxsize=8192)
def _text(text: str) -> str:
    """One line: plain, in single quotes or in double quotes."""
    if not text or "\n" in text or _CONTROL.search(text):
        return _quoted(text)
    if _WORDS_OF_1_1.fullmatch(text) or _NUMBERS_OF_1_1.fullmatch(text):
        return _quoted(text)
    meaning = resolve(text)
    if not isinstance(meaning, str) or isinstance(meaning, Plain):
        return _quoted(text)
    risky = ": " in text or " #" in text or text[-1] in " :" or not _SAFE.fullmatch(text)
    return f"'{text.replace(chr(39), chr(39) * 2)}'" if risky else text


def _quoted(text: str) -> str:
    return _CONTROL.sub(lambda found: f"\\U{ord(found[0]):08x}", json.dumps(text, ensure_ascii=False))
