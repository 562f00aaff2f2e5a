"""`talos.probe`: whether a machine is in maintenance mode or configured by us, and what it runs.

A machine that does not answer, and one that belongs to another cluster, has no stage: that is an
error and makes whatever depends on it unknown. A machine in maintenance mode shows a certificate of
its own making, so our verified dial is refused before anything is sent; then it is asked, without
a certificate, something that is allowed in that mode in every version.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.base.errors import Unreachable
from engine.capabilities.asking import OPAQUE, TEXT, ask, form
from engine.capabilities.contract import Capability, Ports

_VERSION = "machine.MachineService/Version"
_DISKS = "storage.StorageService/Disks"
_FOREIGN_CERTIFICATE = "CertificateUnknown"


async def probe(ports: Ports, given: Mapping[str, Any]) -> dict[str, Any]:
    """The stage and, of a configured machine, the version of Talos that it runs."""
    address = given["endpoint"]
    try:
        replies = await ask(ports, address, given["identity"], _VERSION)
    except Unreachable as error:
        if error.code != _FOREIGN_CERTIFICATE:
            raise
        await ask(ports, address, None, _DISKS)
        return {"stage": "maintenance", "version": None}
    return {"stage": "configured", "version": replies[0].messages[0].version.tag}


CAPABILITY = Capability(
    name="talos.probe",
    summary="Whether a machine is in maintenance mode or configured, and its version of Talos.",
    effect="read",
    deadline_s=12.0,
    input=form({"endpoint": TEXT, "identity": OPAQUE}),
    output=form(
        {
            "stage": {"type": "string", "enum": ["maintenance", "configured"]},
            "version": {"type": ["string", "null"]},
        }
    ),
    start=probe,
    talos_methods=(_VERSION, _DISKS),
)
