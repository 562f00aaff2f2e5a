"""Snapshot files as the command line shows them: verified, in one line and as JSON.

Never shows what is inside a snapshot but sizes, digests and numbers. Neighbours: `backup` and `restore`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.cli.failures import CommandFailed

if TYPE_CHECKING:
    from engine.etcdfile.verify import SnapshotFacts


def verified(path: Path, name: str = "") -> SnapshotFacts:
    """What a snapshot holds. Raises CommandFailed for one that cannot be restored from; `name`: where people know it from."""
    from engine.etcdfile.verify import BadSnapshot, verify_file

    try:
        return verify_file(path)
    except BadSnapshot as error:
        hint = "take another backup; this one cannot be restored from"
        raise CommandFailed(str(error), where=f"in {name or path}", hint=hint) from error


def in_words(facts: SnapshotFacts) -> str:
    """Size, revision, keys and members, for people."""
    members = f"{len(facts.members)} member" + ("s" if len(facts.members) != 1 else "")
    return f"{size_in_words(facts.size)}, revision {facts.revision}, {facts.entries} entries, {members}"


def size_in_words(size: int) -> str:
    """Bytes in the largest unit of which there is one."""
    for unit, width in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= width:
            return f"{size / width:.1f} {unit}"
    return f"{size} B"


def as_json(name: str, facts: SnapshotFacts) -> dict[str, Any]:
    """The same for scripts."""
    return {"file": name, **facts.to_json()}
