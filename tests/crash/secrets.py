"""S8: nothing secret is anywhere but in Secrets, in no version of anything and in nothing that was printed.

The canaries are the real keys and tokens of the trial's cluster, in the clear and as base64. Neighbours:
`trial` asks.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path

from tests.crash.record import Object, Record

_PRIVATE = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----\s+([A-Za-z0-9+/=]+)")
_NAMED = re.compile(
    r"\b(token|secret|key|bootstraptoken|secretboxencryptionsecret|trustdinfo)\"?:\s*\"?([^\s\"]{12,})",
    re.IGNORECASE,
)
_SHORTEST = 12
_MARK = 48
"""So much of a key's text is looked for; its beginning alone is common to all keys."""


def leaks(record: Record, files: tuple[Path, ...]) -> Iterator[str]:
    """Where a canary was found. `files` are further texts that were written meanwhile."""
    canaries = _canaries(record)
    if not canaries and any(call["code"] == "OK" for call in record.sight.calls):
        yield "S8: no canaries were found; the harness does not know where the keys lie"
    for version in record.versions:
        if version.body["kind"] == "Secret":
            continue
        text = json.dumps(version.body)
        if any(canary in text for canary in canaries):
            yield f"S8: a secret in {version.body['kind']} {version.body['metadata']['name']}"
    printed = {"the output of the engine": record.printed} | {
        file.name: file.read_text(errors="replace") for file in files if file.exists()
    }
    for name, text in printed.items():
        if any(canary in text for canary in canaries):
            yield f"S8: a secret in {name}"


def _canaries(record: Record) -> set[str]:
    found: set[str] = set()
    for version in record.states("Secret"):
        for text in _texts(version.body):
            found.update(match[-_MARK:] for match in _PRIVATE.findall(text))
            found.update(value for _, value in _NAMED.findall(text))
    plain = {each for each in found if len(each) >= _SHORTEST}
    return plain | {base64.b64encode(each.encode()).decode() for each in plain}


def _texts(secret: Object) -> Iterator[str]:
    for value in (secret.get("data") or {}).values():
        try:
            text = base64.b64decode(value).decode()
        except ValueError:
            continue
        yield text
        # Keys lie in there as base64 of PEM once more.
        for inner in re.findall(r"[A-Za-z0-9+/=]{80,}", text):
            try:
                yield base64.b64decode(inner).decode()
            except ValueError:
                continue
