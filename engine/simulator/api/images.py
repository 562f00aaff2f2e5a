"""Images and the streaming installation of Talos 1.13: ImageService, LifecycleService, ImagePull.

An image whose reference ends in `:missing` does not exist; every other pull succeeds. What
LifecycleService.Upgrade installs takes effect at the next boot, as on a real machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from typing import Final

import grpc

from engine.simulator.api.call import Call, Handler, Value, one, timestamp
from engine.simulator.configuration import version_of_image
from engine.simulator.installing import NoDisk, usable
from engine.simulator.refusal import Refusal, invalid, precondition

_ABSENT_TAG: Final = ":missing"
_LAYER_BYTES: Final = 64 << 20


async def _pull(call: Call) -> AsyncIterator[Value]:
    reference = call.request.image_ref
    _fetch(call, reference)
    layer = _digest(reference)
    for status in ("DOWNLOADING", "EXTRACT_COMPLETE"):
        offset = 0 if status == "DOWNLOADING" else _LAYER_BYTES
        progress = {"status": status, "offset": offset, "total": _LAYER_BYTES}
        yield {"pull_progress": {"layer_id": layer, "progress": progress}}
    yield {"name": reference}


async def _pull_old(call: Call) -> Value:
    if call.request.namespace == 0:
        raise invalid("unsupported namespace NS_UNKNOWN")
    _fetch(call, call.request.reference)
    return one()


async def _list(call: Call) -> AsyncIterator[Value]:
    for reference in call.machine.disk.images:
        yield {
            "name": reference,
            "digest": _digest(reference),
            "size": _LAYER_BYTES,
            "created_at": timestamp(call.machine.booted_at),
        }


async def _remove(call: Call) -> Value:
    images = call.machine.disk.images
    if call.request.image_ref not in images:
        raise Refusal(grpc.StatusCode.NOT_FOUND, f"image {call.request.image_ref!r} not found")
    call.machine.write(images=tuple(image for image in images if image != call.request.image_ref))
    return {}


async def _upgrade(call: Call) -> AsyncIterator[Value]:
    machine, image = call.machine, call.request.source.image_name
    if machine.disk.installed is None:
        raise precondition("machine is not installed")
    async for item in _write_system(call, image, machine.disk.system):
        yield item


async def _install(call: Call) -> AsyncIterator[Value]:
    machine, path = call.machine, call.request.destination.disk
    if machine.disk.installed is not None:
        raise Refusal(grpc.StatusCode.ALREADY_EXISTS, "machine is already installed")
    if not path:
        raise invalid("destination disk is required")
    try:
        disk = usable(path, machine.disks)
    except NoDisk as reason:
        yield _progress(message=str(reason))
        yield _progress(exit_code=2)
        return
    async for item in _write_system(call, call.request.source.image_name, disk.name):
        yield item


async def _write_system(call: Call, image: str, disk: str) -> AsyncIterator[Value]:
    machine = call.machine
    if not image:
        raise invalid("installer image name is required")
    if machine.busy:
        raise precondition("another installation/upgrade is already in progress")
    machine.busy = "install"
    try:
        yield _progress(message=f"installing {image}")
        await machine.site.pace.pause(machine.site.pace.timing.install)
        version = version_of_image(image)
        if version is None:
            yield _progress(message="the image carries no version")
            yield _progress(exit_code=2)
            return
        machine.write(installed=version, system=disk)
        yield _progress(message="installation complete")
        yield _progress(exit_code=0)
    finally:
        machine.busy = ""


def _progress(**response: str | int) -> Value:
    return {"progress": response}


def _fetch(call: Call, reference: str) -> None:
    if not reference or reference.endswith(_ABSENT_TAG):
        raise Refusal(grpc.StatusCode.NOT_FOUND, f"failed to pull image {reference!r}: not found")
    if reference not in call.machine.disk.images:
        call.machine.write(images=(*call.machine.disk.images, reference))


def _digest(reference: str) -> str:
    return "sha256:" + hashlib.sha256(reference.encode()).hexdigest()


METHODS: Final[dict[str, Handler]] = {
    "machine.ImageService/Pull": _pull,
    "machine.ImageService/List": _list,
    "machine.ImageService/Remove": _remove,
    "machine.LifecycleService/Upgrade": _upgrade,
    "machine.LifecycleService/Install": _install,
    "machine.MachineService/ImagePull": _pull_old,
    "machine.MachineService/ImageList": _list,
}
