"""What of configurations may not be shown: secrets, and whatever people may have put one into.

`hidden` is for texts about configurations that others wrote, such as a machine's own difference. It would
rather hide too much. Neighbours: `redact` knows the names of secrets, `changes` asks what is private.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from engine.machineconfig.config import load_plain
from engine.machineconfig.errors import ConfigError
from engine.machineconfig.redact import REPLACEMENT, redacted_plain

# Free text that people put passwords into.
_PRIVATE: Final = frozenset(
    ("files", "env", "environment", "content", "contents", "inlineManifests", "pods", "extraArgs", "config", "url")
)  # fmt: skip
_SHORTEST: Final = 6
"""Shorter texts are hidden only where they are the value of a private key."""
_KEY_AND_VALUE: Final = re.compile(r"^([-+ ]*(?:- )?)([A-Za-z0-9_.-]+):(\s+)(\S.*)$")
_USER_IN_URL: Final = re.compile(r"//[^/\s@]+@")


def is_private(key: str) -> bool:
    """Whether the value of this key, and everything below it, may not be shown."""
    return key in _PRIVATE or redacted_plain({key: "x"}) == {key: REPLACEMENT}


def hidden(text: str, *configs: str) -> str:
    """`text` without anything private of these configurations; one that cannot be read hides it all."""
    try:
        found = {line for config in configs for item in load_plain(config) for line in _private(item, False)}
    except ConfigError:
        return REPLACEMENT
    for line in sorted(found, key=len, reverse=True):
        text = text.replace(line, REPLACEMENT)
    shown = "\n".join(_KEY_AND_VALUE.sub(_of_key, line) for line in text.splitlines())
    return _USER_IN_URL.sub(f"//{REPLACEMENT}@", shown)


def _of_key(match: re.Match[str]) -> str:
    before, key, space, value = match.groups()
    return f"{before}{key}:{space}{REPLACEMENT if is_private(key) else value}"


def _private(value: Any, below: bool) -> Iterator[str]:
    """Every line of a private text that is long enough to be told from others."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _private(item, below or is_private(str(key)))
    elif isinstance(value, list):
        for item in value:
            yield from _private(item, below)
    elif below and isinstance(value, str):
        yield from (line.strip() for line in value.splitlines() if len(line.strip()) >= _SHORTEST)
