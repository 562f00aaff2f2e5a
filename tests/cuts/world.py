"""A small cluster with a place for its backups: the API, one machine, the engine and the store, each a process of its own.

Begins from the end of a bring-up that was done once. Neighbours: `trial` drives it, `tests.crash.world` is what it adds to.
"""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.crash.nursery import Child
from tests.crash.program import Hurry, Program
from tests.crash.scenarios import API
from tests.crash.world import World
from tests.cuts.disk import Order
from tests.cuts.places import BucketPlace, FolderPlace, Place, secret

CONTROL_PLANE = "crash"
SNAPSHOT = "machine.MachineService/EtcdSnapshot"
PART = 5 << 20
"""The least that an object store takes as a part of an upload; the engine's own 8 MiB only take longer to make."""
HURRIES = (
    Hurry("talosetcdbackup.yaml", "else: 30s", "else: 500ms"),
    Hurry("talosetcdbackup.yaml", "backoff: {initial: 10s, max: 10m}", "backoff: {initial: 500ms, max: 2s}"),
)
"""So that what is tried again is tried again within a trial."""


class BackupWorld(World):
    """`size` is that of etcd's database in bytes; `moto` the port of the S3 server, None for a folder."""

    def __init__(self, folder: Path, slot: int, program: Program, moto: int | None) -> None:
        super().__init__(folder, slot, program)
        self.engine_module = ("tests.cuts.engine",)
        self._moto = moto
        self.place: Place
        self._metrics = f"{self.prefix}.250:8080"

    def begin(self, snapshot: Path, size: int) -> None:
        """Start everything but the engine."""
        self.start(snapshot, 1)
        self.place = FolderPlace(self.folder) if self._moto is None else BucketPlace(self.folder, self._moto)
        self.order("machines", op="database", machine="*", bytes=size)
        self.order("machines", op="put", machine=f"{self.prefix}.1", key="/colour", value="blue")
        self.apply(secret())

    def run_engine(self, order: Order | None, *, behind: float | None = None) -> Child:
        """Start the engine; at its store, `order` is carried out. `behind` seconds: with a clock that can be put back."""

        def pid() -> int:
            assert self.engine is not None
            return self.engine.pid

        told = {
            "disk": dict(self.place.order(order, pid)),
            "behind": behind,
            "part": None if self._moto is None else PART,
        }
        root = Path(told["disk"]["root"])
        module = self.engine_module
        self.engine_module = (*module, json.dumps(told))
        try:
            return self.start_engine(
                *("--backup-directory", str(root)),
                *("--metrics-bind-address", self._metrics, "--metrics-secure=false"),
                anew=behind is not None,
            )
        finally:
            self.engine_module = module

    def backup_spec(self) -> dict[str, Any]:
        """What every backup of this world wants."""
        return {"talosControlPlaneRef": {"name": CONTROL_PLANE}, "backupStorage": dict(self.place.storage)}

    def backup(self, name: str) -> dict[str, Any]:
        """One backup."""
        return {
            "apiVersion": API,
            "kind": "TalosEtcdBackup",
            "metadata": {"name": name},
            "spec": self.backup_spec(),
        }

    def schedule(self, when: str, retention: int) -> dict[str, Any]:
        """A schedule by the name of `often`."""
        spec = {"schedule": when, "retention": retention, "backupTemplate": {"spec": self.backup_spec()}}
        return {
            "apiVersion": API,
            "kind": "TalosEtcdBackupSchedule",
            "metadata": {"name": "often"},
            "spec": spec,
        }

    def counted(self) -> dict[str, int]:
        """How many successes the engine counts, by name; empty while it serves no metrics."""
        try:
            with urllib.request.urlopen(f"http://{self._metrics}/metrics", timeout=5) as answer:
                return dict(_successes(answer.read().decode()))
        except (TimeoutError, OSError):
            return {}

    def close(self, *, clean: bool = False) -> None:
        super().close(clean=clean)
        if hasattr(self, "place"):
            self.place.close()


def _successes(text: str) -> Iterator[tuple[str, int]]:
    for line in text.splitlines():
        if line.startswith("talos_operator_etcd_backup_total{") and 'status="success"' in line:
            yield line.split('name="', 1)[1].split('"', 1)[0], int(float(line.rsplit(" ", 1)[1]))


def next_second() -> None:
    """Wait for the beginning of a second, so that what is made now is made in the same one."""
    time.sleep(1.02 - time.time() % 1)
