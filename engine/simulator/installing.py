"""Which disk a configuration installs on, and why it cannot (talos-api 4.2).

Decides from the configuration and the disks alone; a disk is named by path or chosen by what the
selector says of size, name, model, serial, type and bus path; with both the selector counts. Neighbours: `life` installs, `api.images` too.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final

from engine.base.errors import EngineError
from engine.simulator.configuration import NodeConfig
from engine.simulator.hardware import BlockDevice, named

_SIZE: Final = re.compile(r"\s*(<=|>=|==|<|>)?\s*(\d+(?:\.\d+)?)\s*([kKMGT]?)(i?)B?\s*")
_POWERS: Final = {"": 0, "k": 1, "K": 1, "M": 2, "G": 3, "T": 4}
_COMPARED: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
    "==": operator.eq,
}
_GLOBS: Final = {"name": "name", "model": "model", "serial": "serial", "busPath": "bus_path"}


class NoDisk(EngineError):
    """There is no disk to install on; the text says why."""


def choose(config: NodeConfig, disks: Sequence[BlockDevice]) -> BlockDevice:
    """The disk that `config` installs on. Raises NoDisk."""
    if config.install_disk and not config.disk_selector:
        return usable(config.install_disk, disks)
    for disk in disks:
        if not disk.readonly and not disk.boot and _selected(disk, config.disk_selector):
            return disk
    raise NoDisk("no disk matches the disk selector")


def usable(path: str, disks: Sequence[BlockDevice]) -> BlockDevice:
    """The disk at `path`, if a system can be installed on it. Raises NoDisk."""
    disk = named(disks, path)
    if disk is None:
        raise NoDisk(f"no such disk: {path}")
    if disk.readonly:
        raise NoDisk(f"disk is read-only: {path}")
    if disk.boot:
        raise NoDisk(f"device or resource busy: {path}")
    return disk


def _selected(disk: BlockDevice, selector: Mapping[str, Any]) -> bool:
    if "type" in selector and disk.kind.lower() != str(selector["type"]).lower():
        return False
    if "size" in selector and not _fits(disk.size, str(selector["size"])):
        return False
    return all(
        fnmatchcase(getattr(disk, field), str(selector[key]))
        for key, field in _GLOBS.items()
        if key in selector
    )


def _fits(size: int, condition: str) -> bool:
    found = _SIZE.fullmatch(condition)
    if found is None:
        return False
    sign, number, prefix, binary = found.groups()
    wanted = float(number) * float((1024 if binary else 1000) ** _POWERS[prefix])
    return _COMPARED[sign or "=="](size, wanted)
