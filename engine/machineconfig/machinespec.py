"""The fields of a MachineSpec as patches, in the order in which the reference applies them.

Order and effects are part of the compatibility surface (talos-operator 1.4.1, 2.1). Never renders.
Neighbour: `render`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

FIELDS: Final = (
    "additionalConfig", "airGap", "allowSchedulingOnControlPlanes", "configPatches", "image", "imageCache",
    "installDisk", "meta", "registries", "wipe",
)  # fmt: skip
DEFAULT_IMAGE: Final = "ghcr.io/siderolabs/installer"
_TAGGED = re.compile(r":v\d+(\.\d+)*(-[0-9A-Za-z.-]+)?$")
_IMAGE_CACHE_VOLUME: Final = {
    "apiVersion": "v1alpha1",
    "kind": "VolumeConfig",
    "name": "IMAGECACHE",
    "provisioning": {"diskSelector": {"match": "system_disk"}},
}


def install_image(image: str, version: str) -> str:
    """The installer image: one that ends in a version tag as it is, any other with `version` as its tag."""
    if _TAGGED.search(image):
        return image
    return f"{image or DEFAULT_IMAGE}:v{version.removeprefix('v')}"


def patches(
    spec: Mapping[str, Any], disk: str, version: str, *, installed: bool = False
) -> Iterator[tuple[str, Any]]:
    """(name of the field, patch document) in the order of their effect.

    `disk` is used where the spec names none; without either there is nothing to install and no
    image is set unless the spec names one. An `installed` machine needs none: it runs from its disk.
    """
    disk = spec.get("installDisk") or disk
    image = spec.get("image") or ""
    if disk:
        yield "installDisk", {"machine": {"install": {"disk": disk}}}
    if spec.get("wipe"):
        yield "wipe", {"machine": {"install": {"wipe": True}}}
    if disk or image or installed:
        yield "image", {"machine": {"install": {"image": install_image(image, version)}}}
    if spec.get("airGap"):
        yield (
            "airGap",
            {"machine": {"time": {"disabled": True}}, "cluster": {"discovery": {"enabled": False}}},
        )
    if spec.get("imageCache"):
        yield "imageCache", {"machine": {"features": {"imageCache": {"localEnabled": True}}}}
    if spec.get("allowSchedulingOnControlPlanes"):
        yield "allowSchedulingOnControlPlanes", {"cluster": {"allowSchedulingOnControlPlanes": True}}
    if spec.get("registries"):
        yield "registries", {"machine": {"registries": spec["registries"]}}
    for index, patch in enumerate(spec.get("configPatches") or ()):
        yield f"configPatches[{index}]", patch


def documents(spec: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """(name of the field, document) to append after all patches."""
    if spec.get("imageCache"):
        yield "imageCache", _IMAGE_CACHE_VOLUME
    for index, document in enumerate(spec.get("additionalConfig") or ()):
        yield f"additionalConfig[{index}]", document
