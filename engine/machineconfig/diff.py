"""What differs between two configurations: places, and a text for people.

Compares re-encoded forms, so that comments, the order of keys and defaults spelled out do not show;
nothing else is left out. Never changes its input. Neighbour: `config`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import zip_longest
from typing import Any

from engine.machineconfig.config import Config, Document, load, load_plain
from engine.machineconfig.decode import join
from engine.machineconfig.emit import write_documents
from engine.machineconfig.errors import ConfigError
from engine.machineconfig.redact import redacted, redacted_document

_ABSENT = object()


def paths(old: Config, new: Config) -> list[str]:
    """The dotted paths that differ, sorted: `machine.install.disk`, `HostnameConfig: auto`, `HostnameConfig`
    for a whole document that one side lacks. Empty when the configurations are equal.
    """
    before = {document.title: document for document in old.documents}
    after = {document.title: document for document in new.documents}
    found: set[str] = set()
    for title in before.keys() | after.keys():
        if title not in before or title not in after:
            found.add(title or "v1alpha1")
        else:
            prefix = f"{title}: " if title else ""
            found.update(prefix + path for path in _differing(*_written(before[title], after[title]), ""))
    return sorted(found)


def _written(old: Document, new: Document) -> tuple[dict[str, Any], dict[str, Any]]:
    """Both documents as they are written, but for the parts in which they are equal anyway."""
    left, right = _unlike(old.value, new.value)
    return replace(old, value=left).plain(), replace(new, value=right).plain()


def _unlike(old: dict[str, Any], new: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    left, right = dict(old), dict(new)
    for key in old.keys() & new.keys():
        before, after = old[key], new[key]
        if _same(before, after):
            del left[key], right[key]
        elif isinstance(before, dict) and isinstance(after, dict):
            left[key], right[key] = _unlike(before, after)
    return left, right


def _same(old: Any, new: Any) -> bool:
    """Equal, and of equal types: 1 is not true."""
    if type(old) is not type(new) or old != new:
        return False
    if isinstance(old, dict):
        return all(_same(item, new[key]) for key, item in old.items())
    return not isinstance(old, list) or all(map(_same, old, new))


def text_paths(old: str, new: str) -> list[str]:
    """`paths` of two configuration texts, for a node's own configuration and the wanted one.

    Texts that our model cannot read, since they are newer than it, are compared as plain documents
    in their order. Raises ConfigError when a text is no YAML.
    """
    if old == new:
        return []
    try:
        return paths(load(old), load(new))
    except ConfigError:
        before, after = load_plain(old), load_plain(new)
    titles = [f"document {number}" for number in range(1, max(len(before), len(after)) + 1)]
    found: list[str] = []
    for title, left, right in zip_longest(titles, before, after, fillvalue=_ABSENT):
        found.extend(f"{title}: {path}" if path else str(title) for path in _differing(left, right, ""))
    return sorted(found)


def unified(old: Config, new: Config) -> str:
    """A unified diff of the re-encoded texts; "" when they are equal."""
    return _unified(old.text(), new.text())


def redacted_unified(old: Config, new: Config) -> str:
    """The same without secrets; one that differs is marked on the new side."""
    before = {document.title: document.plain() for document in old.documents}
    hidden = {document.title: redacted_document(document) for document in old.documents}
    shown = [
        _marked(
            before.get(document.title),
            document.plain(),
            hidden.get(document.title),
            redacted_document(document),
        )
        for document in new.documents
    ]
    return _unified(redacted(old), write_documents(shown))


def _marked(old: Any, new: Any, shown_old: Any, shown_new: Any) -> Any:
    """`shown_new`, with a mark where only what is hidden differs."""
    if isinstance(new, Mapping) and isinstance(old, Mapping):
        return {
            key: _marked(old.get(key), item, shown_old.get(key), shown_new[key]) for key, item in new.items()
        }
    if isinstance(new, list) and isinstance(old, list) and len(new) == len(old):
        return [_marked(*items) for items in zip(old, new, shown_old, shown_new, strict=True)]
    return f"{shown_new} (another)" if old != new and shown_old == shown_new else shown_new


def _unified(old: str, new: str) -> str:
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), "a", "b", lineterm="", n=3)
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
