"""The file with a cluster's keys that stands beside a snapshot, as text; opened when it is encrypted.

The text stays in memory and is told to nobody. Neighbours: `restore` asks, `machineconfig.sealing` opens.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from engine.cli.failures import CommandFailed

_ENCRYPTED: Final = b"age-encryption.org/"
_IDENTITY: Final = ("AGE-SECRET-KEY-", "-----BEGIN")


def opened_state(path: Path, name: str, key: Path | None) -> str:
    """What stands in the file at `path`, which people know as `name`; `key` is a file with what opens it.

    Raises CommandFailed, OSError.
    """
    data = path.read_bytes()
    if data.startswith(_ENCRYPTED):
        data = _opened(data, name, key)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        hint = "take the file state-... that was stored beside the snapshot"
        raise CommandFailed("the file is no text", where=f"in {name}", hint=hint) from error


def _opened(data: bytes, name: str, key: Path | None) -> bytes:
    if key is None:
        hint = "--state-key FILE, with the age identity or the passphrase that opens it in FILE"
        raise CommandFailed("the file is encrypted", where=f"in {name}", hint=hint)
    from engine.machineconfig import sealing

    text = key.read_text("utf-8").strip()
    try:
        identities = _identities(text)
        return sealing.open_by(data, identities) if identities else sealing.open_with(data, text)
    except sealing.SealingError as error:
        hint = f"{key} has to hold the identity or the passphrase that it was encrypted for"
        raise CommandFailed(str(error), where=f"in {name}", hint=hint) from error


def _identities(text: str) -> list[str]:
    """The identities in a file as age-keygen writes it, or an SSH private key; empty: it is a passphrase."""
    if text.startswith(_IDENTITY[1]):
        return [text + "\n"]
    return [line.strip() for line in text.splitlines() if line.startswith(_IDENTITY[0])]
