"""The hardware that every simulated machine has: disks, memory, processor load.

Constants in the shape of the Talos messages. The first disk is the one to install on; the CD is
the read-only medium, there so that clients prove they skip it. Neighbours: `projection`,
`api.storage`, `api.machine`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

GIB: Final = 1 << 30
MEMORY_KIB: Final = 4 * GIB >> 10


@dataclass(frozen=True, slots=True)
class BlockDevice:
    """One disk. `kind` is the name of the DiskType in storage.Disk."""

    name: str
    size: int
    model: str
    serial: str
    kind: str
    bus_path: str
    readonly: bool = False

    @property
    def path(self) -> str:
        return f"/dev/{self.name}"


DISKS: Final = (
    BlockDevice("sda", 20 * GIB, "SIMULATED DISK", "SIM-0001", "SSD", "/pci0000:00/0000:00:05.0/virtio1"),
    BlockDevice("sdb", 50 * GIB, "SIMULATED DISK", "SIM-0002", "HDD", "/pci0000:00/0000:00:06.0/virtio2"),
    BlockDevice(
        "sr0", 1 << 28, "SIMULATED CD", "SIM-0003", "CD", "/pci0000:00/0000:00:1f.2/ata3", readonly=True
    ),
)


def disk_at(path: str) -> BlockDevice | None:
    """The disk at a device path that can be written, None when there is none."""
    return next((disk for disk in DISKS if disk.path == path and not disk.readonly), None)
