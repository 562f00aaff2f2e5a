"""What a machine still knows after a power cut: its disks, kept in one SQLite file.

Every save is one transaction that is on the medium before it returns, so a killed simulator
finds the machines as they were. Holds configurations and so keys: the file is 0600. Never
interprets a configuration. Neighbours: `machine` owns a Disk, `etcd` the shape of a cluster.
"""

from __future__ import annotations

import json
import os
import sqlite3
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from engine.base.errors import SettingsError
from engine.simulator.etcd import EtcdCluster
from engine.simulator.hardware import DEFAULT_DISKS

DATABASE_BYTES: Final = 2 << 20
RUINED: Final = ("", 0)
"""Etcd data that no member can run with, as a recovery leaves them that fails half way."""


@dataclass(frozen=True, slots=True)
class Disk:
    """The persistent state of one machine.

    `identity` makes node id and host name stable until a wipe. `installed` is the Talos version
    on the system disk, None while there is none, `system` the name of that disk. `config` is the persisted configuration.
    `etcd` names (cluster key, member id) of the etcd data, None when the data directory is empty.
    `database_bytes` is the size of these data, and of a snapshot of them.
    `disks` are the disks built into the machine, in the words of `hardware`; no wipe changes them.
    """

    identity: str
    powered: bool = True
    installed: str | None = None
    config: str | None = field(default=None, repr=False)
    etcd: tuple[str, int] | None = None
    database_bytes: int = DATABASE_BYTES
    meta: Mapping[int, str] = field(default_factory=dict, repr=False)
    images: tuple[str, ...] = ()
    disks: tuple[str, ...] = DEFAULT_DISKS
    system: str = ""


def blank_disk(disks: tuple[str, ...]) -> Disk:
    """What a machine with these disks knows that was never installed."""
    return Disk(identity=uuid.uuid4().hex, disks=disks)


class DiskStore:
    """All disks and etcd clusters of one simulator, in `path`; beside it `uploads`, snapshots that callers sent."""

    def __init__(self, path: Path) -> None:
        self.uploads = path.parent / "uploads"
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
        os.close(descriptor)
        try:
            self._database = sqlite3.connect(path, isolation_level=None)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=FULL")
            for table in ("disk", "etcd"):
                self._database.execute(
                    f"CREATE TABLE IF NOT EXISTS {table} (name TEXT PRIMARY KEY, state TEXT)"
                )
        except sqlite3.Error as error:
            raise SettingsError(f"{path}: {error}; name another folder or delete this file") from error

    def disks(self) -> dict[str, Disk]:
        """Every disk ever saved, by the machine's address."""
        return {name: _disk(json.loads(state)) for name, state in self._rows("disk")}

    def clusters(self) -> dict[str, EtcdCluster]:
        """Every etcd cluster by its key."""
        return {name: EtcdCluster.from_json(json.loads(state)) for name, state in self._rows("etcd")}

    def save(
        self, disks: Mapping[str, Disk] | None = None, clusters: Mapping[str, EtcdCluster] | None = None
    ) -> None:
        """Write all of them in one transaction; raises sqlite3.Error when the medium refuses."""
        rows = [("disk", name, asdict(disk)) for name, disk in (disks or {}).items()]
        rows += [("etcd", name, cluster.to_json()) for name, cluster in (clusters or {}).items()]
        with self._database:
            self._database.execute("BEGIN IMMEDIATE")
            for table, name, state in rows:
                self._database.execute(
                    f"INSERT OR REPLACE INTO {table} (name, state) VALUES (?, ?)", (name, json.dumps(state))
                )

    def close(self) -> None:
        self._database.close()

    def _rows(self, table: str) -> list[tuple[str, str]]:
        return list(self._database.execute(f"SELECT name, state FROM {table}"))


def _disk(state: dict[str, Any]) -> Disk:
    etcd = state["etcd"]
    return Disk(
        identity=state["identity"],
        powered=state["powered"],
        installed=state["installed"],
        config=state["config"],
        etcd=(etcd[0], etcd[1]) if etcd else None,
        database_bytes=state.get("database_bytes", DATABASE_BYTES),
        meta={int(key): value for key, value in state["meta"].items()},
        images=tuple(state["images"]),
        disks=tuple(state["disks"]),
        system=state["system"],
    )
