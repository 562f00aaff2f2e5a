"""What differs between two configurations, value for value, in words that anybody may read.

Secrets are replaced before they are compared with anything, and of what may hold one without saying so
(files, environments, manifests, long texts) only the fact that it differs is told. Never changes its input.
Neighbours: `diff` names the same places, `hide` knows what is private.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any, Final

from engine.machineconfig.config import load, load_plain
from engine.machineconfig.decode import join
from engine.machineconfig.errors import ConfigError
from engine.machineconfig.hide import is_private

_LONGEST: Final = 60
_FEW: Final = 5
_ABSENT: Final = object()


def told(old: str, new: str) -> list[str]:
    """One line a difference, sorted: `machine.install.image: a -> b`, `cluster.etcd.image: (absent) -> b`.

    Raises ConfigError when a text is no YAML.
    """
    before, after = _documents(old), _documents(new)
    lines = []
    for title in before.keys() | after.keys():
        prefix = f"{title}: " if title else ""
        pair = before.get(title, _ABSENT), after.get(title, _ABSENT)
        lines += [prefix + line for line in _lines(*pair, path="", muted=False)]
    return sorted(lines)


def _documents(text: str) -> Mapping[str, Any]:
    """The plain documents by their titles; numbered where our model cannot read the text."""
    try:
        return {document.title: document.plain() for document in load(text).documents}
    except ConfigError:
        return {f"document {number}": item for number, item in enumerate(load_plain(text), 1)}


def _lines(old: Any, new: Any, *, path: str, muted: bool) -> Iterator[str]:
    if path:
        # What was put in or taken out is told in its parts while they are few.
        old, new = _opened(old, new), _opened(new, old)
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in old.keys() | new.keys():
            pair = old.get(key, _ABSENT), new.get(key, _ABSENT)
            yield from _lines(*pair, path=join(path, key), muted=muted or is_private(key))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, pair in enumerate(zip_longest(old, new)):
            yield from _lines(*pair, path=f"{path}[{index}]", muted=muted)
    elif type(old) is not type(new) or old != new:
        yield f"{path or 'document'}: {_word(old, muted=muted)} -> {_word(new, muted=muted)}"


def _opened(value: Any, other: Any) -> Any:
    """Nothing as an empty map, beside a small one."""
    small = isinstance(other, Mapping) and 0 < len(other) <= _FEW
    return {} if small and (value is _ABSENT or value is None) else value


def _word(value: Any, *, muted: bool) -> str:
    if value is _ABSENT or value is None or value == "":
        return "(absent)"
    if isinstance(value, Mapping | list):
        many = len(value)
        noun = ("key" if isinstance(value, Mapping) else "item") + ("" if many == 1 else "s")
        return f"({many} {noun})"
    if muted:
        return "(not shown)"
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value)
    return text if len(text) <= _LONGEST and "@" not in text else "(a text)"
