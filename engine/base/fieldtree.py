"""Trees of field names and dotted paths: which part of an object or reply somebody reads.

Lists are transparent: a tree below a list means each of its items. Pure. Neighbours: the rules' checks
make trees, replies are converted and changes are judged by them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

FieldTree: TypeAlias = "Mapping[str, FieldTree | None]"
"""Name -> what is read below it; None stands for everything below."""


def merged(first: FieldTree | None, second: FieldTree | None) -> FieldTree | None:
    """What either of two readers reads."""
    if first is None or second is None:
        return None
    both = {name: merged(first[name], second[name]) for name in first.keys() & second.keys()}
    return {**first, **second, **both}


def differs(old: Any, new: Any, tree: FieldTree | None) -> bool:
    """Whether somebody who reads `tree` sees a difference between two values."""
    if old is new:
        return False
    if tree is None:
        return bool(old != new)
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return any(differs(old.get(name), new.get(name), below) for name, below in tree.items())
    if isinstance(old, list | tuple) and isinstance(new, list | tuple):
        return len(old) != len(new) or any(
            differs(one, other, tree) for one, other in zip(old, new, strict=True)
        )
    return bool(old != new)


def texts_at(item: Any, path: str) -> set[str]:
    """The texts at a dotted path: none, one, or one for each item of a list on the way."""
    return set(_texts(item, path.split(".")))


def _texts(item: Any, names: list[str]) -> Iterator[str]:
    if isinstance(item, list):
        for each in item:
            yield from _texts(each, names)
    elif not names:
        if isinstance(item, str):
            yield item
        elif isinstance(item, (bool, int, float)):
            yield json.dumps(item)
    elif isinstance(item, Mapping):
        for length in range(1, len(names) + 1):
            name = ".".join(names[:length])
            if name in item:
                yield from _texts(item[name], names[length:])
