"""What a trial left behind: every version of every object, every mutating call, what was printed.

Read from the API's own database and both control sockets, never from the engine. Neighbours: `world`
keeps them, the oracles judge.
"""

from __future__ import annotations

import bisect
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from engine.base.yamltext import load_documents
from engine.machineconfig.redact import redacted_plain
from tests.crash.world import World

Object = dict[str, Any]
Call = dict[str, Any]


@dataclass(frozen=True)
class Version:
    """One change of one object: `type` is ADDED, MODIFIED or DELETED; `body` what it is then, `previous` what it was.

    It was made at or after `since` and at or before `until`, seconds since the epoch.
    """

    revision: int
    type: str
    body: Object
    previous: Object | None
    since: float
    until: float

    @property
    def key(self) -> tuple[str, str, str]:
        """Kind, name and uid."""
        metadata = self.body["metadata"]
        return self.body["kind"], metadata["name"], metadata["uid"]


@dataclass(frozen=True)
class Sight:
    """What is there at a moment, and how much was done for it. `requests` are the mutating ones to the API, `calls` those to machines."""

    revision: int
    bodies: list[bytes]
    requests: list[Call]
    calls: list[Call]
    machines: list[Object]

    @cached_property
    def objects(self) -> list[Object]:
        """Every object."""
        return [json.loads(body) for body in self.bodies]

    @property
    def activity(self) -> tuple[int, int, int]:
        """Grows with everything that was written, refused or not."""
        return self.revision, len(self.requests), len(self.calls)


@dataclass(frozen=True)
class Record:
    """A whole trial: the last sight, and how it came to that. `begin` is the revision at which the trial began.

    `configurations` are those on the machines' own disks, by address, without their keys.
    """

    sight: Sight
    versions: list[Version]
    begin: int
    configurations: dict[str, list[Object]]
    printed: str
    prefix: str

    def states(self, kind: str) -> list[Version]:
        """Every version of every object of a kind."""
        return [each for each in self.versions if each.body["kind"] == kind]


def look(world: World) -> Sight:
    """What is there now."""
    base = sqlite3.connect(f"file:{world.store}?mode=ro", uri=True)
    try:
        (revision,) = base.execute("SELECT max(revision) FROM log").fetchone()
        bodies = [body for (body,) in base.execute(_OBJECTS)]
    finally:
        base.close()
    return Sight(revision, bodies, world.mutations("api"), world.mutations("machines"), world.machines())


def objects_of(world: World) -> list[Object]:
    """Every object as it is now, and nothing else."""
    base = sqlite3.connect(f"file:{world.store}?mode=ro", uri=True)
    try:
        return [json.loads(body) for (body,) in base.execute(_OBJECTS)]
    finally:
        base.close()


_OBJECTS = (
    "SELECT body FROM objects WHERE resource NOT LIKE 'customresourcedefinitions.%'"
    " ORDER BY resource, namespace, name"
)


def read(world: World, sight: Sight, begin: int) -> Record:
    """The record of a world that ended with `sight`."""
    base = sqlite3.connect(f"file:{world.store}?mode=ro", uri=True)
    try:
        rows = base.execute(
            "SELECT revision, type, body, previous FROM log"
            " WHERE resource NOT LIKE 'customresourcedefinitions.%' ORDER BY revision"
        ).fetchall()
    finally:
        base.close()
    printed = world.log.read_text(errors="replace") if world.log.exists() else ""
    versions = list(_versions(rows, sight.requests))
    return Record(sight, versions, begin, _configurations(world), printed, world.prefix)


def _configurations(world: World) -> dict[str, list[Object]]:
    base = sqlite3.connect(f"file:{world.folder / 'machines' / 'machines.sqlite'}?mode=ro", uri=True)
    try:
        disks = {name: json.loads(state) for name, state in base.execute("SELECT name, state FROM disk")}
    finally:
        base.close()
    return {
        address: [redacted_plain(each) for each in load_documents(disk["config"])]
        for address, disk in disks.items()
        if disk["config"]
    }


def _versions(rows: list[tuple[int, str, bytes, bytes | None]], requests: list[Call]) -> Iterator[Version]:
    made = sorted((each["revision"], each["time"]) for each in requests if each["revision"])
    revisions = [revision for revision, _ in made]
    for revision, sort, body, previous in rows:
        # A request knows the newest revision after it; what the garbage collector made lies between two of them.
        at = bisect.bisect_left(revisions, revision)
        since = made[at - 1][1] if at else 0.0
        upto = made[at][1] if at < len(made) else float("inf")
        if at < len(made) and revisions[at] == revision:
            since = upto
        yield Version(
            revision, sort, json.loads(body), json.loads(previous) if previous else None, since, upto
        )
