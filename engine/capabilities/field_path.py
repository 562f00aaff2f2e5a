r"""The values at a path in an object, in the JSONPath that Kubernetes itself takes (`kubectl -o jsonpath`).

Names (`.status.ip`, `['a.b']`, `a\.b`), indices, slices, unions, `*`, `..name` and filters
(`[?(@.type == "InternalIP")]`). Promises that a path that cannot be read is a ValueError which says where, and
that a path leads to nothing where the object lacks something. No templates. Pure; not an ability itself.
Neighbour: `pool_members`.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

Step = Callable[[list[Any]], list[Any]]

_NAME: Final = re.compile(r"(?:\\.|[^\\.\[\]\s])+")
_INDEX: Final = re.compile(r"-?\d+")
_SLICE: Final = re.compile(r"(-?\d*):(-?\d*)(?::(-?\d*))?")
_QUOTED: Final = re.compile(r"'([^']*)'|\"([^\"]*)\"")
_SIGN: Final = re.compile(r"'[^']*'|\"[^\"]*\"|(==|!=|<=|>=|<|>)")
_COMPARED: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_LONGEST: Final = 1024
_DEEPEST: Final = 4


def values_at(found: Any, path: str) -> list[Any]:
    """What is at `path`, in order; nothing where it leads nowhere. Raises ValueError for a path that is none."""
    return _follow(found, steps_of(path))


@lru_cache(maxsize=256)
def steps_of(path: str) -> tuple[Step, ...]:
    """The path taken apart. Braces, `$` and the leading dot may be left out."""
    if len(path) > _LONGEST:
        raise ValueError(f"a path has at most {_LONGEST} characters")
    if path.count("..") > _DEEPEST:
        raise ValueError(f"a path has at most {_DEEPEST} times `..`")
    text = path.strip()
    if text.startswith("{") and text.endswith("}"):
        text = text[1:-1].strip()
    text = text.removeprefix("$")
    if text and text[0] not in ".[":
        text = f".{text}"
    return tuple(_steps(text))


def _follow(found: Any, steps: tuple[Step, ...]) -> list[Any]:
    current = [found]
    for step in steps:
        current = _distinct(step(current))
    return current


def _distinct(values: list[Any]) -> list[Any]:
    """Each map and list once, so that no path costs more than the object is large."""
    seen: set[int] = set()
    kept = []
    for value in values:
        if isinstance(value, Mapping | list):
            if id(value) in seen:
                continue
            seen.add(id(value))
        kept.append(value)
    return kept


def _steps(text: str) -> Iterator[Step]:
    position = 0
    while position < len(text):
        if text.startswith("[", position):
            end = _closing(text, position)
            yield _bracket(text[position + 1 : end].strip())
            position = end + 1
            continue
        deep = text.startswith("..", position)
        start = position + (2 if deep else 1)
        if not text.startswith(".", position):
            raise ValueError(f"unexpected {text[position:]!r}")
        if deep:
            yield _everything
        if deep and text.startswith("[", start):
            position = start
            continue
        name = _NAME.match(text, start)
        if name is None:
            raise ValueError(f"a name is missing behind {text[:start]!r}")
        yield _every if name.group() == "*" else _field(re.sub(r"\\(.)", r"\1", name.group()))
        position = name.end()


def _closing(text: str, start: int) -> int:
    """The bracket that closes the one at `start`; quoted ones do not count."""
    depth, quote = 0, ""
    for index in range(start, len(text)):
        letter = text[index]
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter in "[]":
            depth += 1 if letter == "[" else -1
            if depth == 0:
                return index
    raise ValueError(f"{text[start:]!r} is not closed")


def _bracket(inner: str) -> Step:
    if inner.startswith("?(") and inner.endswith(")"):
        return _chosen(inner[2:-1].strip())
    quoted = [match.group(1) or match.group(2) or "" for match in _QUOTED.finditer(inner)]
    if quoted and not _QUOTED.sub("", inner).replace(",", "").strip():
        return _union([_field(name) for name in quoted])
    parts = [part.strip() for part in inner.split(",")]
    return _union([_part(part) for part in parts])


def _part(text: str) -> Step:
    if text == "*":
        return _every
    if _INDEX.fullmatch(text):
        return _item(int(text))
    found = _SLICE.fullmatch(text)
    if found is None or found.group(3) == "0":
        raise ValueError(f"[{text}] is no index, slice, name in quotes or filter")
    bounds = slice(*(int(bound) if bound else None for bound in found.groups()))
    return lambda values: [item for value in values if isinstance(value, list) for item in value[bounds]]


def _field(name: str) -> Step:
    return lambda values: [value[name] for value in values if isinstance(value, Mapping) and name in value]


def _item(index: int) -> Step:
    return lambda values: [
        value[index] for value in values if isinstance(value, list) and -len(value) <= index < len(value)
    ]


def _union(steps: list[Step]) -> Step:
    return lambda values: [found for value in values for step in steps for found in step([value])]


def _every(values: list[Any]) -> list[Any]:
    return [item for value in values for item in _inside(value)]


def _everything(values: list[Any]) -> list[Any]:
    """The values themselves and all that is in them, at any depth."""
    found: list[Any] = []
    seen: set[int] = set()
    waiting = list(reversed(values))
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        if isinstance(value, Mapping | list):
            seen.add(id(value))
        found.append(value)
        waiting.extend(reversed(_inside(value)))
    return found


def _inside(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return list(value.values())
    return list(value) if isinstance(value, list) else []


def _chosen(test: str) -> Step:
    """The items for which `@.path == literal`, or for which there is something at `@.path`."""
    sign = next((match for match in _SIGN.finditer(test) if match.group(1)), None)
    path = (test[: sign.start()] if sign else test).strip()
    if not path.startswith("@") or "?(" in path or ".." in path:
        raise ValueError(f"{test!r}: a filter asks of @ and a plain path behind it")
    inner = steps_of(path[1:]) if path != "@" else ()
    compared = _COMPARED[sign.group(1)] if sign else None
    wanted = _literal(test[sign.end() :].strip()) if sign else None

    def holds(item: Any) -> bool:
        found = _follow(item, inner)
        if compared is None or not found:
            return bool(found)
        try:
            return compared(found[0], wanted)
        except TypeError:
            return False

    return lambda values: [item for value in values for item in _inside(value) if holds(item)]


def _literal(text: str) -> Any:
    quoted = _QUOTED.fullmatch(text)
    if quoted:
        return quoted.group(1) or quoted.group(2) or ""
    try:
        return json.loads(text)
    except ValueError:
        raise ValueError(f"{text} is neither a text in quotes nor a number") from None
