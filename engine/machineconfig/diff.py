"""What differs between two configurations: places, and a text for people.

Compares re-encoded forms, so that comments, the order of keys and defaults spelled out do not show;
nothing else is left out. Never changes its input. Neighbour: `config`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from engine.machineconfig.config import Config
from engine.machineconfig.decode import join

_ABSENT = object()


def paths(old: Config, new: Config) -> list[str]:
    """The dotted paths that differ, sorted: `machine.install.disk`, `HostnameConfig: auto`, `HostnameConfig`
    for a whole document that one side lacks. Empty when the configurations are equal.
    """
    before = {document.title: document.plain() for document in old.documents}
    after = {document.title: document.plain() for document in new.documents}
    found: set[str] = set()
    for title in before.keys() | after.keys():
        if title not in before or title not in after:
            found.add(title or "v1alpha1")
        else:
            prefix = f"{title}: " if title else ""
            found.update(prefix + path for path in _differing(before[title], after[title], ""))
    return sorted(found)


def unified(old: Config, new: Config) -> str:
    """A unified diff of the re-encoded texts; "" when they are equal."""
    lines = difflib.unified_diff(old.text().splitlines(), new.text().splitlines(), "a", "b", lineterm="", n=3)
    return "".join(f"{line}\n" for line in lines)


def _differing(old: Any, new: Any, path: str) -> Iterator[str]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in old.keys() | new.keys():
            yield from _differing(old.get(key, _ABSENT), new.get(key, _ABSENT), join(path, key))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (left, right) in enumerate(zip(old, new, strict=True)):
            yield from _differing(left, right, f"{path}[{index}]")
    elif type(old) is not type(new) or old != new:
        yield path
