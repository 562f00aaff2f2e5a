"""`talos.etcd.recover`: have etcd begin with the snapshot that was uploaded to a machine; once.

Whether a quorum lives is asked of the machines in the same moment, whatever a rule says. `target` says since when
the machine's etcd waits; when it waits since another time, or does anything else, an earlier order has arrived or
the machine was reset meanwhile, and nothing is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.capabilities import etcd_recovery
from engine.capabilities.asking import OPAQUE, TEXT, TEXTS, form
from engine.capabilities.contract import Capability, Ports

_NAME = "talos.etcd.recover"


async def recover(ports: Ports, given: Mapping[str, Any]) -> dict[str, Any]:
    """`sent`: whether it was told now. Raises CapabilityError (RestoreRefused), nothing sent; RemoteError."""
    target = given["target"]
    address = etcd_recovery.address_of(target)
    found = await etcd_recovery.standing(ports, given["endpoints"], given["identity"])
    if address in found.waiting and f"{address}@{found.waiting[address]}" != target:
        return {"sent": False, "told": f"{address} was told before, or reset since; nothing is sent again"}
    blocked = etcd_recovery.obstacle(found, address)
    if blocked:
        raise etcd_recovery.refused(_NAME, blocked)
    await etcd_recovery.bootstrap(ports, address, given["identity"])
    return {"sent": True, "told": f"{address} begins with the snapshot"}


CAPABILITY = Capability(
    name=_NAME,
    summary="Have etcd begin with the snapshot that was uploaded to a machine, once.",
    effect="irreversible",
    deadline_s=60.0,
    input=form({"target": TEXT, "endpoints": TEXTS, "identity": OPAQUE}),
    output=form({"sent": {"type": "boolean"}, "told": TEXT}),
    start=recover,
    talos_methods=(etcd_recovery.SERVICES, etcd_recovery.STATUS, etcd_recovery.BOOTSTRAP),
)
