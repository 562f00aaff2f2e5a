"""The disk that a machine runs from: a wanted configuration that names none leaves it as it is.

Pure. Neighbours: `patch` puts the disk in; what compares and what sends configurations ask here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import engine.machineconfig.config as configs
from engine.machineconfig.errors import ConfigError
from engine.machineconfig.patch import apply, patch_of


def names_disk(text: str) -> bool:
    """Whether a configuration says an install disk, or how to choose one; True when it cannot be read."""
    try:
        install = _install(configs.load(text))
    except ConfigError:
        return True
    return bool(install.get("disk") or install.get("diskSelector"))


def keeping_disk(live: str, wanted: str) -> str:
    """`wanted` with the install disk of `live`, where it names none.

    Unchanged when either of the two cannot be read, or `live` says no disk.
    """
    try:
        disk = _install(configs.load(live)).get("disk")
    except ConfigError:
        return wanted
    if not disk or names_disk(wanted):
        return wanted
    return apply(configs.load(wanted), patch_of({"machine": {"install": {"disk": disk}}})).text()


def selects_disk(config: configs.Config) -> bool:
    """Whether a configuration says how to choose a disk, which Talos heeds more than a path."""
    return bool(_install(config).get("diskSelector"))


def _install(config: configs.Config) -> Mapping[str, Any]:
    found: Mapping[str, Any] = (_main(config).get("machine") or {}).get("install") or {}
    return found


def _main(config: configs.Config) -> Mapping[str, Any]:
    return next((document for document in config.plain() if "machine" in document), {})
