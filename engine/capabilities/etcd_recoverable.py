"""`talos.etcd.recoverable`: whether etcd may be recovered from a snapshot now, and on which machine.

A reason why not is an answer (`blocked`); not knowing whether a quorum lives is an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.capabilities import etcd_recovery
from engine.capabilities.asking import OPAQUE, TEXT, TEXTS, form
from engine.capabilities.contract import Capability, Ports


async def recoverable(ports: Ports, given: Mapping[str, Any]) -> dict[str, Any]:
    """`target` (a machine and since when it waits, for `once`) or `blocked`, one of them null; `waiting`: every target."""
    found = await etcd_recovery.standing(ports, given["endpoints"], given["identity"])
    machine = given.get("machine")
    blocked = etcd_recovery.obstacle(found, machine)
    if blocked:
        return {"target": None, "waiting": [], "blocked": blocked}
    waiting = [etcd_recovery.target_of(found, each) for each in found.waiting]
    return {"target": etcd_recovery.target_of(found, machine), "waiting": waiting, "blocked": None}


CAPABILITY = Capability(
    name="talos.etcd.recoverable",
    summary="Whether etcd may be recovered from a snapshot now, and on which machine.",
    effect="read",
    deadline_s=15.0,
    input=form({"endpoints": TEXTS, "identity": OPAQUE, "machine": TEXT}, optional=frozenset({"machine"})),
    output=form(
        {
            "target": {"type": ["string", "null"]},
            "waiting": TEXTS,
            "blocked": {"type": ["string", "null"]},
        }
    ),
    start=recoverable,
    talos_methods=(etcd_recovery.SERVICES, etcd_recovery.STATUS),
)
