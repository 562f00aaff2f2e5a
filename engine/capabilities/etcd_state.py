"""`talos.etcd.state`: what etcd of a control plane is, asked of every node of it.

"uninitialized" is said only when every node answered and said itself that it waits for its
bootstrap; silence, a node that starts, a service that is not there yet are no answer, and an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.capabilities import etcd_members
from engine.capabilities.asking import OPAQUE, TEXT, TEXTS, form
from engine.capabilities.contract import Capability, Ports

_NOTHING: dict[str, Any] = {
    "phase": "uninitialized",
    "members": [],
    "addresses": [],
    "healthy": 0,
    "healthyAddresses": [],
    "followers": [],
    "leader": None,
    "quorum": 0,
    "alarms": [],
    "canLose": False,
}


async def state(ports: Ports, given: Mapping[str, Any]) -> dict[str, Any]:
    """Phase, members, health and whether one member may be lost."""
    found = await etcd_members.view(
        ports, given["endpoints"], given["identity"], expected=given.get("expected", 0)
    )
    if found is None:
        return dict(_NOTHING)
    members = [
        {"id": f"{item.id:016x}", "name": item.name, "address": item.address, "learner": item.learner}
        for item in found.members
    ]
    return {
        "phase": "running",
        "members": members,
        "addresses": [item["address"] for item in members],
        "healthy": len(found.healthy),
        "healthyAddresses": list(found.healthy),
        "followers": [address for address in found.healthy if address != found.leader],
        "leader": found.leader,
        "quorum": found.quorum,
        "alarms": list(found.alarms),
        "canLose": found.can_lose,
    }


CAPABILITY = Capability(
    name="talos.etcd.state",
    summary="Phase, members and health of a control plane's etcd.",
    effect="read",
    deadline_s=15.0,
    input=form(
        {"endpoints": TEXTS, "identity": OPAQUE, "expected": {"type": "integer"}},
        optional=frozenset({"expected"}),
    ),
    output=form(
        {
            "phase": {"type": "string", "enum": ["uninitialized", "running"]},
            "members": {
                "type": "array",
                "items": form({"id": TEXT, "name": TEXT, "address": TEXT, "learner": {"type": "boolean"}}),
            },
            "addresses": TEXTS,
            "healthy": {"type": "integer"},
            "healthyAddresses": TEXTS,
            "followers": TEXTS,
            "leader": {"type": ["string", "null"]},
            "quorum": {"type": "integer"},
            "alarms": TEXTS,
            "canLose": {"type": "boolean"},
        }
    ),
    start=state,
    talos_methods=etcd_members.CALLS,
)
