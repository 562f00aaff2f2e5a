"""`talos.machine.retire`: take a machine out of its cluster for good, without costing it quorum.

A control plane machine of a cluster that goes on gives up its leadership, leaves etcd and only then
wipes itself; whether etcd can do without it is asked of etcd itself in the same moment, whatever
a rule says: no `peers` means that nobody is left to take over, and a peer that turns out to be the machine itself, under
another address, keeps it from being touched. Where the whole cluster goes (`whole`),
the machine only wipes itself.
A machine that is given up (`abandon`) is removed from etcd by the others, if those have a quorum
without it: one that answers after all is not given up unless `force` says so, and a member that lives on
under another address is never removed. Under `force` etcd stays as it is where it can spare nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.base.errors import CapabilityError, RemoteError
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
    """What was done: reset, removed, left (a member that etcd cannot spare), or nothing; `told` for people.

    Raises CapabilityError: QuorumAtRisk when etcd cannot do without the machine, StillThere when one
    that is to be given up answers.
    """
    address, bundle = given["endpoint"], given["identity"]
    others = given["peers"] if given["role"] == "controlplane" and not given.get("whole") else None
    if given.get("abandon"):
        return await _abandon(ports, address, bundle, others, force=bool(given.get("force")))
    if others is not None:
        elsewhere = await _leave(ports, address, bundle, others)
        if elsewhere:
            return _done("nothing", f"it is also {elsewhere}, which stays; not wiped")
    await ask(ports, address, bundle, _RESET, {"graceful": False, "reboot": True}, exclusive=True)
    return _done("reset", "wiped")


async def _leave(ports: Ports, address: str, bundle: Opaque, peers: list[str]) -> str:
    """Leave etcd, if the machine is in it; nothing is done, and its address given, where it is one of those that stay."""
    found = await etcd_members.view(ports, [address, *peers], bundle)
    member = found.member_at(address) if found is not None else None
    if found is None or member is None:
        return ""
    elsewhere = found.elsewhere(address, member)
    if elsewhere:
        return elsewhere
    if not found.can_spare(address, member):
        raise _at_risk(found)
    if found.leader == address:
        await ask(ports, address, bundle, _FORFEIT, deadline_s=_LEAVE_S)
    await ask(ports, address, bundle, _LEAVE, deadline_s=_LEAVE_S, exclusive=True)
    return ""


async def _abandon(
    ports: Ports, address: str, bundle: Opaque, peers: list[str] | None, *, force: bool
) -> dict[str, Any]:
    """Have the others remove the member of a machine that is given up."""
    if not force and await _answers(ports, address, bundle):
        message = f"{address} answers again; it is not given up"
        raise CapabilityError(message, operation=_NAME, sent="no", code="StillThere")
    if not peers:
        return _done("nothing", "there is no etcd to take it out of")
    try:
        found = await etcd_members.view(ports, peers, bundle)
    except RemoteError as error:
        if not force:
            raise
        return _done("left", f"etcd stays as it is: {error}")
    member = found.member_at(address) if found is not None else None
    if found is None or member is None:
        return _done("nothing", "it is no member of etcd")
    elsewhere = found.elsewhere(address, member)
    if elsewhere:
        return _done("nothing", f"its member lives on at {elsewhere}")
    if not found.can_spare(address, member):
        if not force:
            raise _at_risk(found)
        return _done("left", f"etcd stays as it is: {_at_risk(found).message}")
    await ask(ports, found.healthy[0], bundle, _REMOVE, {"member_id": member.id}, exclusive=True)
    return _done("removed", f"{found.healthy[0]} took its member out of etcd")


def _done(action: str, told: str) -> dict[str, Any]:
    return {"done": True, "action": action, "told": told}


async def _answers(ports: Ports, address: str, bundle: Opaque) -> bool:
    try:
        await ask(ports, address, bundle, etcd_members.SERVICES)
    except RemoteError:
        return False
    return True


def _at_risk(found: EtcdView) -> CapabilityError:
    message = f"etcd has {len(found.healthy)} healthy of {found.voters} voting members and cannot lose one; bring back or add others first"
    return CapabilityError(message, operation=_NAME, sent="no", code="QuorumAtRisk")


CAPABILITY = Capability(
    name=_NAME,
    summary="Take a machine out of its cluster for good: leave etcd, then wipe it.",
    effect="irreversible",
    deadline_s=150.0,
    input=form(
        {
            "endpoint": TEXT,
            "role": TEXT,
            "identity": OPAQUE,
            "peers": TEXTS,
            "whole": {"type": "boolean"},
            "abandon": {"type": "boolean"},
            "force": {"type": "boolean"},
        },
        optional=frozenset({"whole", "abandon", "force"}),
    ),
    output=form(
        {
            "told": TEXT,
            "done": {"type": "boolean"},
            "action": {"type": "string", "enum": ["reset", "removed", "left", "nothing"]},
        }
    ),
    start=retire,
    talos_methods=(_FORFEIT, _LEAVE, _REMOVE, _RESET, *etcd_members.CALLS),
)
