"""The hardware of a simulated machine: its disks, read from short texts, and its memory.

A disk is written as its kernel name and, behind colons in any order, its size in GiB and words:
`sda`, `nvme0n1:100`, `sdb:50:hdd`, `sdc:8:boot`, `vdb:10:ro`, `sr0`. The name says the kind; `sr0`
is the read-only CD. Pure. Neighbours: `machine` has the texts, `projection`, `life` and `api` read the disks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

GIB: Final = 1 << 30
MEMORY_KIB: Final = 4 * GIB >> 10
DEFAULT_DISKS: Final = ("sda:20", "sdb:50:hdd", "sr0")

_NAME: Final = re.compile(r"(?:(sd|vd|xvd)[a-z]{1,2}|(nvme)\d+n\d+|(mmcblk)\d+|(sr)\d+)")
_KINDS: Final = {"sd": "SSD", "vd": "SSD", "xvd": "SSD", "nvme": "NVME", "mmcblk": "SD", "sr": "CD"}
_WORDS: Final = ("hdd", "ssd", "ro", "boot")
_USUAL_GIB: Final = 20
_CD_BYTES: Final = 1 << 28


@dataclass(frozen=True, slots=True)
class BlockDevice:
    """One disk. `kind` is the name of the DiskType in storage.Disk; `boot` marks the medium with the installer on it."""

    name: str
    size: int
    model: str
    serial: str
    kind: str
    bus_path: str
    readonly: bool = False
    boot: bool = False

    @property
    def path(self) -> str:
        return f"/dev/{self.name}"

    def partition(self, number: int) -> str:
        """The kernel's name of a partition: `sda4`, `nvme0n1p4`."""
        return f"{self.name}{'p' if self.name[-1].isdigit() else ''}{number}"


@lru_cache(maxsize=64)
def read_disks(texts: tuple[str, ...]) -> tuple[BlockDevice, ...]:
    """The disks that these texts describe, in their order. Raises ValueError, naming the text that is wrong."""
    found = tuple(_disk(text, index) for index, text in enumerate(texts, 1))
    names = [disk.name for disk in found]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"disk {name!r} is named twice")
    return found


def named(disks: Sequence[BlockDevice], path: str) -> BlockDevice | None:
    """The disk at a device path such as `/dev/sda`, None when there is none."""
    return next((disk for disk in disks if disk.path == path), None)


def _disk(text: str, number: int) -> BlockDevice:
    name, *rest = text.split(":")
    found = _NAME.fullmatch(name)
    if found is None:
        raise ValueError(
            f"disk {text!r}: {name!r} is no name of a disk such as sda, vda, nvme0n1, mmcblk0, sr0"
        )
    prefix = next(group for group in found.groups() if group)
    kind, size, words = _KINDS[prefix], _USUAL_GIB * GIB, set()
    for word in rest:
        if word.isdigit() and int(word):
            size = int(word) * GIB
        elif word in _WORDS:
            words.add(word)
        else:
            raise ValueError(
                f"disk {text!r}: {word!r} is neither a size in GiB nor one of {', '.join(_WORDS)}"
            )
    if words & {"hdd", "ssd"}:
        kind = "HDD" if "hdd" in words else "SSD"
    cd = kind == "CD"
    return BlockDevice(
        name=name,
        size=_CD_BYTES if cd else size,
        model=f"SIMULATED {'CD' if cd else 'DISK'}",
        serial=f"SIM-{number:04}",
        kind=kind,
        bus_path=f"/pci0000:00/0000:00:{number + 4:02x}.0/virtio{number}",
        readonly=cd or "ro" in words,
        boot=cd or "boot" in words,
    )
