"""`talos.machine.retire`: take a machine out of its cluster for good, without costing it quorum.

A control plane machine of a cluster that goes on gives up its leadership, leaves etcd and only then
wipes itself; whether etcd can do without it is asked of etcd itself in the same moment, whatever
a rule says. A machine that is given up as dead is removed from etcd by the others, if those
have a quorum. Without peers the whole cluster goes, and the machine only wipes itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.base.errors import CapabilityError
from engine.base.values import Opaque
from engine.capabilities import etcd_members
from engine.capabilities.asking import OPAQUE, TEXT, TEXTS, ask, form
from engine.capabilities.contract import Capability, Ports
from engine.capabilities.etcd_members import EtcdView

_FORFEIT = "machine.MachineService/EtcdForfeitLeadership"
_LEAVE = "machine.MachineService/EtcdLeaveCluster"
_REMOVE = "machine.MachineService/EtcdRemoveMemberByID"
_RESET = "machine.MachineService/Reset"
_LEAVE_S = 60.0
_NAME = "talos.machine.retire"


async def retire(ports: Ports, given: Mapping[str, Any]) -> dict[str, Any]:
    """What was done; raises CapabilityError (QuorumAtRisk) when etcd cannot do without the machine."""
    address, bundle, peers = given["endpoint"], given["identity"], given["peers"]
    in_etcd = given["role"] == "controlplane" and bool(peers)
    if given.get("abandon"):
        return (
            await _abandon(ports, address, bundle, peers) if in_etcd else {"done": True, "action": "nothing"}
        )
    if in_etcd:
        await _leave(ports, address, bundle, peers)
    await ask(ports, address, bundle, _RESET, {"graceful": False, "reboot": True}, exclusive=True)
    return {"done": True, "action": "reset"}


async def _leave(ports: Ports, address: str, bundle: Opaque, peers: list[str]) -> None:
    """Leave etcd, if the machine is in it."""
    found = await etcd_members.view(ports, [address, *peers], bundle)
    member = found.member_at(address) if found is not None else None
    if found is None or member is None:
        return
    if not found.can_spare(address, member):
        raise _at_risk(found)
    if found.leader == address:
        await ask(ports, address, bundle, _FORFEIT, deadline_s=_LEAVE_S)
    await ask(ports, address, bundle, _LEAVE, deadline_s=_LEAVE_S, exclusive=True)


async def _abandon(ports: Ports, address: str, bundle: Opaque, peers: list[str]) -> dict[str, Any]:
    """Have the others remove the member of a machine that is given up."""
    found = await etcd_members.view(ports, peers, bundle)
    member = found.member_at(address) if found is not None else None
    if found is None or member is None:
        return {"done": True, "action": "nothing"}
    if len(found.healthy) < found.quorum:
        raise _at_risk(found)
    await ask(ports, found.healthy[0], bundle, _REMOVE, {"member_id": member.id}, exclusive=True)
    return {"done": True, "action": "removed"}


def _at_risk(found: EtcdView) -> CapabilityError:
    message = f"etcd has {len(found.healthy)} healthy of {found.voters} voting members and cannot lose one"
    return CapabilityError(message, operation=_NAME, sent="no", code="QuorumAtRisk")


CAPABILITY = Capability(
    name=_NAME,
    summary="Take a machine out of its cluster for good: leave etcd, then wipe it.",
    effect="irreversible",
    deadline_s=150.0,
    input=form(
        {"endpoint": TEXT, "role": TEXT, "identity": OPAQUE, "peers": TEXTS, "abandon": {"type": "boolean"}},
        optional=frozenset({"abandon"}),
    ),
    output=form({"done": {"type": "boolean"}, "action": TEXT}),
    start=retire,
    talos_methods=(_FORFEIT, _LEAVE, _REMOVE, _RESET, *etcd_members.CALLS),
)
