"""Objects and their event log in one SQLite file that survives kill -9 and power loss.

WAL with synchronous=FULL: a write is acknowledged after fsync (0.3 ms on a laptop disk). Each
change is one row in `objects` and one in `log`, in one transaction; the log's key is the
resourceVersion, so the counter cannot run apart from the data. The log is bounded; what it no
longer holds is answered with 410. Rows keep the state before the change, which gives watches
their selector transitions and lists a consistent snapshot across pages.
Never parses more than metadata; never interprets a kind. Neighbours: `objects`, `lists`, `watching`, `garbage`.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.standalone.failures import StandaloneError

# Versions up to this one are never used, so that a watch from version 1 is refused as on an old cluster.
FIRST_REVISION = 100
DEFAULT_LOG_LIMIT = 10_000

_SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
  resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
  revision INTEGER NOT NULL, uid TEXT NOT NULL, deleting INTEGER NOT NULL, body BLOB NOT NULL,
  PRIMARY KEY (resource, namespace, name)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS objects_by_uid ON objects (uid);
CREATE INDEX IF NOT EXISTS objects_deleting ON objects (deleting) WHERE deleting;
CREATE TABLE IF NOT EXISTS owners (
  owner TEXT NOT NULL, resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
  PRIMARY KEY (owner, resource, namespace, name)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS owners_by_object ON owners (resource, namespace, name);
CREATE TABLE IF NOT EXISTS log (
  revision INTEGER PRIMARY KEY, resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
  type TEXT NOT NULL, body BLOB NOT NULL, previous BLOB);
CREATE INDEX IF NOT EXISTS log_by_resource ON log (resource, revision);
"""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where an object lies: `resource` is `plural.group`, `namespace` "" when cluster-wide."""

    resource: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Change:
    """One row of the event log; `type` is ADDED, MODIFIED or DELETED, bodies are JSON."""

    revision: int
    namespace: str
    name: str
    type: str
    body: bytes
    previous: bytes | None


class Store:
    """The file; used from one thread. Every method may raise sqlite3.Error, and then changed nothing."""

    def __init__(self, path: Path, *, log_limit: int = DEFAULT_LOG_LIMIT) -> None:
        self._log_limit = log_limit
        try:
            # Made before SQLite does: the files beside it take over its mode.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._db = sqlite3.connect(path, isolation_level=None, timeout=2.0, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.executescript(_SCHEMA)
            self.revision = self._scalar("SELECT max(revision) FROM log") or FIRST_REVISION
            first = self._scalar("SELECT min(revision) FROM log")
        except sqlite3.Error as error:
            raise StandaloneError(
                f"cannot use the database {path}: {error}; check the disk, or move the file away to start empty"
            ) from error
        self.compacted = first - 1 if first else FIRST_REVISION

    def close(self) -> None:
        """Release the file; further calls fail."""
        self._db.close()

    def get(self, place: Place) -> bytes | None:
        """The stored JSON of one object."""
        row = self._db.execute(
            "SELECT body FROM objects WHERE resource=? AND namespace=? AND name=?",
            (place.resource, place.namespace, place.name),
        ).fetchone()
        return row[0] if row else None

    def snapshot(
        self, resource: str, namespace: str | None, *, revision: int, after: tuple[str, str] = ("", "")
    ) -> Iterator[bytes]:
        """Objects as they were at `revision`, ordered by namespace and name, from behind `after` on."""
        limits: dict[str, Any] = {
            "r": resource,
            "v": revision,
            "n": namespace,
            "an": after[0],
            "am": after[1],
        }
        where = "resource=:r AND (namespace, name) > (:an, :am)"
        if namespace is not None:
            where += " AND namespace=:n"
        current = f"SELECT namespace, name, body FROM objects WHERE {where}"
        if revision < self.revision:
            current += (
                " AND revision<=:v UNION ALL SELECT namespace, name, previous FROM log AS entry"
                f" WHERE {where} AND revision>:v AND previous IS NOT NULL AND NOT EXISTS (SELECT 1 FROM log"
                " AS older WHERE older.resource=:r AND older.revision>:v AND older.revision<entry.revision"
                " AND older.namespace=entry.namespace AND older.name=entry.name)"
            )
        for row in self._db.execute(f"{current} ORDER BY 1, 2", limits):
            yield row[2]

    def names(self, resource: str, namespace: str | None = None) -> list[Place]:
        """Every object of a resource, in one namespace or all."""
        rows = self._db.execute(
            "SELECT namespace, name FROM objects WHERE resource=? AND (? IS NULL OR namespace=?)",
            (resource, namespace, namespace),
        )
        return [Place(resource, *row) for row in rows]

    def changes(self, resource: str, after: int, *, limit: int = 500) -> list[Change]:
        """The log of one resource behind revision `after`, oldest first."""
        rows = self._db.execute(
            "SELECT revision, namespace, name, type, body, previous FROM log"
            " WHERE resource=? AND revision>? ORDER BY revision LIMIT ?",
            (resource, after, limit),
        )
        return [Change(*row) for row in rows]

    def dependents(self, uid: str) -> list[Place]:
        """Objects with an owner reference to `uid`."""
        rows = self._db.execute("SELECT resource, namespace, name FROM owners WHERE owner=?", (uid,))
        return [Place(*row) for row in rows]

    def dangling(self) -> list[Place]:
        """Objects with at least one owner reference to a uid that no longer exists."""
        rows = self._db.execute(
            "SELECT DISTINCT resource, namespace, name FROM owners WHERE owner NOT IN (SELECT uid FROM objects)"
        )
        return [Place(*row) for row in rows]

    def waiting(self) -> list[Place]:
        """Objects that are marked for deletion and not yet gone."""
        rows = self._db.execute("SELECT resource, namespace, name FROM objects WHERE deleting")
        return [Place(*row) for row in rows]

    def place_of(self, uid: str) -> Place | None:
        """Where the object with this uid lies."""
        row = self._db.execute("SELECT resource, namespace, name FROM objects WHERE uid=?", (uid,)).fetchone()
        return Place(*row) if row else None

    def put(self, place: Place, body: dict[str, Any]) -> bytes:
        """Store an object under the next resourceVersion, which is written into `body`; returns its JSON."""
        with self._change(body) as (revision, encoded):
            previous = self.get(place)
            metadata = body["metadata"]
            deleting = "deletionTimestamp" in metadata
            self._db.execute(
                "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?, ?)",
                (place.resource, place.namespace, place.name, revision, metadata["uid"], deleting, encoded),
            )
            self._own(place, body)
            self._record(place, "MODIFIED" if previous else "ADDED", encoded, previous)
        return encoded

    def remove(self, place: Place, body: dict[str, Any]) -> bytes:
        """Delete an object; `body` is its last state and gets the deletion's resourceVersion."""
        with self._change(body) as (_, encoded):
            previous = self.get(place)
            self._db.execute(
                "DELETE FROM objects WHERE resource=? AND namespace=? AND name=?",
                (place.resource, place.namespace, place.name),
            )
            self._own(place, {})
            self._record(place, "DELETED", encoded, previous)
        return encoded

    @contextmanager
    def _change(self, body: dict[str, Any]) -> Iterator[tuple[int, bytes]]:
        revision = self.revision + 1
        body["metadata"]["resourceVersion"] = str(revision)
        encoded = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield revision, encoded
            self._db.execute("DELETE FROM log WHERE revision<=?", (revision - self._log_limit,))
            self._db.execute("COMMIT")
        except BaseException:
            # SQLite has already rolled back by itself after some faults, a full disk among them.
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        self.revision = revision
        self.compacted = max(self.compacted, revision - self._log_limit)

    def _own(self, place: Place, body: dict[str, Any]) -> None:
        where = (place.resource, place.namespace, place.name)
        self._db.execute("DELETE FROM owners WHERE resource=? AND namespace=? AND name=?", where)
        for reference in body.get("metadata", {}).get("ownerReferences") or ():
            self._db.execute("INSERT OR IGNORE INTO owners VALUES (?, ?, ?, ?)", (reference["uid"], *where))

    def _record(self, place: Place, change: str, body: bytes, previous: bytes | None) -> None:
        self._db.execute(
            "INSERT INTO log VALUES (?, ?, ?, ?, ?, ?, ?)",
            (self.revision + 1, place.resource, place.namespace, place.name, change, body, previous),
        )

    def _scalar(self, query: str) -> int | None:
        value = self._db.execute(query).fetchone()[0]
        return int(value) if value is not None else None
