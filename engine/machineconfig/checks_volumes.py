"""Checks of the documents about disks and volumes.

Each yields problems with paths; none changes anything. Neighbour: `checks_documents` runs them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from engine.machineconfig.celtypes import mistake
from engine.machineconfig.checks import Problem, section
from engine.machineconfig.checks_machine import key_problems
from engine.machineconfig.texts import bytes_of

_SYSTEM: Final = ("STATE", "EPHEMERAL", "IMAGECACHE")
_MATCH: Final = "provisioning.diskSelector.match"
_NAME = re.compile(r"[A-Za-z0-9-]{1,34}")


def _system(name: str, value: Mapping[str, Any]) -> Iterator[Problem]:
    if name not in _SYSTEM:
        yield Problem("name", f"not one of {', '.join(_SYSTEM)}")
    if name == "STATE" and value.get("provisioning"):
        yield Problem("provisioning", "the volume STATE cannot be provisioned otherwise")


def _selector(_: str, value: Mapping[str, Any]) -> Iterator[Problem]:
    yield from expression_problems(
        section(value, "provisioning", "diskSelector").get("match"), "disk", _MATCH
    )


def expression_problems(text: str | None, place: str, path: str, result: str = "bool") -> Iterator[Problem]:
    """The problem of a CEL expression, if there is one."""
    found = mistake(text, place, result) if text else ""
    if found:
        yield Problem(path, found)


def _name(name: str, _: Mapping[str, Any]) -> Iterator[Problem]:
    if not _NAME.fullmatch(name):
        yield Problem("name", "1 to 34 letters, digits and hyphens are allowed")


def _sizes(_: str, value: Mapping[str, Any]) -> Iterator[Problem]:
    provisioning = section(value, "provisioning")
    low, high = provisioning.get("minSize", ""), provisioning.get("maxSize", "")
    if value.get("volumeType", "partition") != "partition":
        return
    if low and high and not high.endswith("%") and bytes_of(low) > bytes_of(high):
        yield Problem("provisioning.minSize", "greater than maxSize")


def _provisioning(_: str, value: Mapping[str, Any]) -> Iterator[Problem]:
    provisioning = section(value, "provisioning")
    kind = value.get("volumeType", "partition")
    if kind == "directory":
        for key in ("provisioning", "encryption", "filesystem", "mount"):
            given = section(value, key)
            if given and not (key == "encryption" and not given.get("keys") and "provider" not in given):
                yield Problem(key, "has no meaning for a directory")
    elif kind not in ("disk", "partition"):
        yield Problem("volumeType", "not one of partition, disk, directory")
    if kind not in ("disk", "partition"):
        return
    if not section(provisioning, "diskSelector").get("match"):
        yield Problem("provisioning.diskSelector", "required")
    sizes = any(key in provisioning for key in ("minSize", "maxSize"))
    if kind == "disk" and (sizes or "grow" in provisioning):
        yield Problem("provisioning", "a whole disk takes neither minSize nor maxSize nor grow")
    if kind == "partition" and not sizes:
        yield Problem("provisioning", "minSize or maxSize is required")


def _filesystem(_: str, value: Mapping[str, Any]) -> Iterator[Problem]:
    filesystem = section(value, "filesystem")
    if value.get("volumeType", "partition") not in ("disk", "partition"):
        return
    if filesystem.get("type", "none") not in ("none", "xfs", "ext4"):
        yield Problem("filesystem.type", "not one of xfs, ext4")
    elif filesystem.get("projectQuotaSupport") and filesystem.get("type", "xfs") == "ext4":
        yield Problem("filesystem.projectQuotaSupport", "only xfs has project quotas")


def _keys(_: str, value: Mapping[str, Any]) -> Iterator[Problem]:
    encryption = section(value, "encryption")
    if not encryption or value.get("volumeType", "partition") not in ("disk", "partition"):
        return
    if encryption.get("provider", "none") == "none" and encryption.get("keys"):
        yield Problem("encryption.provider", "required; only luks2 is supported")
    elif encryption.get("provider", "none") != "none" and not encryption.get("keys"):
        yield Problem("encryption.keys", "required")
    yield from key_problems(encryption.get("keys", ()), "encryption")


def _existing(_: str, value: Mapping[str, Any]) -> Iterator[Problem]:
    if not section(value, "discovery", "volumeSelector").get("match"):
        yield Problem("discovery.volumeSelector", "required")
    match = section(value, "discovery", "volumeSelector").get("match")
    yield from expression_problems(match, "volume", "discovery.volumeSelector.match")


def _external(_: str, value: Mapping[str, Any]) -> Iterator[Problem]:
    if value.get("filesystemType", "none") != "virtiofs":
        yield Problem("filesystemType", "only virtiofs is supported")
    elif not section(value, "mount", "virtiofs").get("tag"):
        yield Problem("mount.virtiofs.tag", "required")


VOLUME_CHECKS: Final[Mapping[str, tuple[Callable[[str, Mapping[str, Any]], Iterator[Problem]], ...]]] = {
    "ExistingVolumeConfig": (_existing,),
    "ExternalVolumeConfig": (_external,),
    "RawVolumeConfig": (_name, _provisioning, _selector, _sizes, _keys),
    "SwapVolumeConfig": (_name, _provisioning, _selector, _sizes, _keys),
    "UserVolumeConfig": (_name, _provisioning, _selector, _sizes, _filesystem, _keys),
    "VolumeConfig": (_system, _selector, _sizes, _keys),
}
