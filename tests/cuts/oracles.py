"""S7: what is listed as complete is whole, what is counted as success is, and nothing of ours lies about.

A Witness looks again and again while a trial goes on: first at what is claimed, then at the store, which can only have more
by then. What is wrong is a sentence; nothing here is of the engine. Neighbours: `trial` asks, `snapshotshape` knows the format.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from tests.crash.record import Object, Record, Version
from tests.cuts import snapshotshape
from tests.cuts.acts import BACKUP, SCHEDULE, is_leaving, is_ready
from tests.cuts.places import Holding
from tests.unit.stores.s3_server import SECRET

_SNAPSHOT_END = ".db"
_KEYS = ("secretBundle", "bundleConfig", "config")
"""Of the Secret of a cluster what it cannot be without; the rest tells how it is doing."""
_LABEL = "talos.alperen.cloud/etcd-backup-schedule"


class Witness:
    """Remembers which keys ever held a whole snapshot, by digest, and everything that was wrong."""

    def __init__(self) -> None:
        self.whole: dict[str, set[str]] = {}
        self.wrong: list[str] = []
        self._known: dict[bytes, tuple[str, ...]] = {}

    def look(self, claims: Sequence[Object], after: Sequence[Object], holding: Holding) -> None:
        """What the objects claimed before the store was looked at, the objects `after` that, and the store."""
        for key, data in holding.files.items():
            if key.endswith(_SNAPSHOT_END):
                for flaw in self._flaws(data):
                    self._say(f"partial: {key} is published and has {flaw}")
                self.whole.setdefault(key, set()).add(hashlib.sha256(data).hexdigest())
        still = {_uid(each) for each in after if not is_leaving(each)}
        for each in claims:
            if each["kind"] == BACKUP and is_ready(each) and _uid(each) in still:
                for flaw in self.untrue(each, holding):
                    self._say(flaw)

    def counts(self, counted: dict[str, int], left: int = 0) -> None:
        """What one engine has counted as successes, asked before the look that it is compared with.

        `left` backups are gone, or about to be: nobody can tell whether what they had was whole.
        """
        told, whole = sum(counted.values()), sum(map(len, self.whole.values()))
        if told > whole + left:
            self._say(f"counted: {told} successes, {whole} whole snapshots were ever there")

    def untrue(self, backup: Object, holding: Holding) -> Iterator[str]:
        """What of a complete backup's status the store does not have."""
        name, status = backup["metadata"]["name"], backup["status"]
        data = holding.files.get(status.get("filename") or "")
        if data is None:
            yield f"complete: {name} has no file {status.get('filename')}"
            return
        for flaw in self._flaws(data):
            yield f"complete: the file of {name} has {flaw}"
        digest = hashlib.sha256(data).hexdigest()
        if (status.get("size"), status.get("sha256")) != (len(data), digest):
            yield f"complete: {name} tells another size or digest than its file has"
        if holding.digests.get(status["filename"], digest) != digest:
            yield f"complete: the digest beside the file of {name} is another one"
        if (status.get("stateFilename") or "") not in holding.files:
            yield f"complete: the keys of {name} are not there"

    def _flaws(self, data: bytes) -> tuple[str, ...]:
        mark = hashlib.sha256(data).digest()
        if mark not in self._known:
            self._known[mark] = tuple(snapshotshape.flaws(data))
        return self._known[mark]

    def _say(self, what: str) -> None:
        if what not in self.wrong:
            self.wrong.append(what)


def left_over(objects: Sequence[Object], holding: Holding) -> Iterator[str]:
    """At rest: exactly the files of the backups that are there, and nothing unfinished."""
    wanted = {
        name
        for each in objects
        if each["kind"] == BACKUP
        for name in (each["status"].get("filename"), each["status"].get("stateFilename"))
        if name
    }
    for key in sorted(holding.files.keys() - wanted):
        yield f"orphan: {key} belongs to no backup"
    for key in sorted(wanted - holding.files.keys()):
        yield f"complete: {key} is gone"
    for name in holding.unfinished:
        yield f"unfinished: {name} was begun and left"
    for key in sorted(holding.digests.keys() - holding.files.keys()):
        yield f"orphan: the digest of {key} is there without it"
    names = [each["status"].get("filename") for each in objects if each["kind"] == BACKUP]
    if len(names) != len(set(names)):
        yield "complete: two backups have one file"


def keys_beside(objects: Sequence[Object], holding: Holding) -> Iterator[str]:
    """The file of keys makes the Secret of the cluster again."""
    (secret,) = [
        each for each in objects if each["kind"] == "Secret" and each["metadata"]["name"] == "crash-state"
    ]
    for each in objects:
        if each["kind"] == BACKUP and is_ready(each):
            kept = yaml.safe_load(holding.files.get(each["status"].get("stateFilename") or "", b""))
            if not kept or any(kept["data"].get(name) != secret["data"][name] for name in _KEYS):
                yield f"keys: the file beside {each['metadata']['name']} does not have the cluster's keys"


def history(record: Record, witness: Witness) -> Iterator[str]:
    """What held in every version: no success newer than a verified backup, the newest good one never pruned."""
    verified: dict[str, set[str]] = {}
    for version in record.states(BACKUP):
        if is_ready(version.body) and version.body["status"].get("filename") in witness.whole:
            verified.setdefault(version.body["metadata"]["creationTimestamp"], set()).add(version.key[2])
    for version in record.states(SCHEDULE):
        told = (version.body.get("status") or {}).get("lastSuccessfulBackupTime")
        if told and told not in verified:
            yield f"last success: {told} is told, and no verified backup is of then"
    yield from _pruned(record)
    if "Traceback" in record.printed:
        yield "a traceback in the output of the engine"
    if SECRET in record.printed or base64.b64encode(SECRET.encode()).decode() in record.printed:
        yield "the credentials of the store were printed"


def _pruned(record: Record) -> Iterator[str]:
    living: dict[str, Version] = {}
    schedules: set[str] = set()
    for version in record.versions:
        kind, _, uid = version.key
        if kind == SCHEDULE:
            ends = version.type == "DELETED" or is_leaving(version.body)
            schedules = schedules - {uid} if ends else schedules | {uid}
        if kind != BACKUP or _LABEL not in (version.body["metadata"].get("labels") or {}):
            continue
        before = living.pop(uid, None)
        if version.type != "DELETED" and not is_leaving(version.body):
            living[uid] = version
        elif schedules and before is not None and is_ready(before.body):
            made = before.body["metadata"]["creationTimestamp"]
            rest = [each.body for each in living.values() if is_ready(each.body)]
            if not any(each["metadata"]["creationTimestamp"] >= made for each in rest):
                yield f"retention: {version.key[1]} was removed and was the newest good one"


def one_key(record: Record, asked: Sequence[str]) -> Iterator[str]:
    """A backup that is tried again is tried again under its key: never more keys than backups."""
    begun = {word for line in asked for word in line.split() if word.endswith(_SNAPSHOT_END)}
    backups = {version.key[2] for version in record.states(BACKUP)}
    if len(begun) > len(backups):
        yield f"keys: {len(backups)} backups were begun under {len(begun)} keys: {', '.join(sorted(begun))}"


def _uid(given: Any) -> str:
    return str(given["metadata"]["uid"])
