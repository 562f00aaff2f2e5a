"""What the nodes of one control plane say of their etcd: asked of all at once, summed up once.

Not an ability itself. Etcd is asked only on nodes whose etcd service runs, so that nothing is
asked at the wrong time; a node that does not answer is neither counted as healthy nor taken for one
without etcd. Neighbours: `etcd_state` and `machine_retire`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.base.errors import RemoteError
from engine.base.values import Opaque
from engine.capabilities.asking import ask, host_of
from engine.capabilities.contract import Ports

SERVICES = "machine.MachineService/ServiceList"
STATUS = "machine.MachineService/EtcdStatus"
MEMBERS = "machine.MachineService/EtcdMemberList"
ALARMS = "machine.MachineService/EtcdAlarmList"

# A control plane node that was never bootstrapped keeps its etcd service here.
_WAITS = "Preparing"
_RUNS = "Running"


@dataclass(frozen=True, slots=True)
class Member:
    """One member of etcd; `address` is its host in the peer URL, or ""."""

    id: int
    name: str
    address: str
    learner: bool


@dataclass(frozen=True, slots=True)
class EtcdView:
    """Etcd as its nodes see it together."""

    members: tuple[Member, ...]
    healthy: tuple[str, ...]
    leader: str | None
    alarms: tuple[str, ...]

    @property
    def voters(self) -> int:
        """How many members vote."""
        return sum(not member.learner for member in self.members)

    @property
    def quorum(self) -> int:
        """How many voters have to be healthy."""
        return self.voters // 2 + 1

    @property
    def can_lose(self) -> bool:
        """Whether one healthy member may leave: it has a quorum now and what is left has one too."""
        left = len(self.healthy) - 1
        return len(self.healthy) >= self.quorum and left >= (self.voters - 1) // 2 + 1

    def member_at(self, address: str) -> Member | None:
        """The member with this address."""
        return next((member for member in self.members if member.address == address), None)


async def view(ports: Ports, endpoints: Sequence[str], bundle: Opaque) -> EtcdView | None:
    """Etcd of these control plane nodes; None when every one says that it waits for its bootstrap.

    Raises RemoteError when neither can be told.
    """
    services = await asyncio.gather(*(_service(ports, address, bundle) for address in endpoints))
    running = [address for address, found in zip(endpoints, services, strict=True) if found == _RUNS]
    if not running:
        if endpoints and all(found == _WAITS for found in services):
            return None
        raise _undecided(endpoints, services)
    statuses = await asyncio.gather(*(_status(ports, address, bundle) for address in running))
    healthy = {address: found for address, found in zip(running, statuses, strict=True) if found is not None}
    if not healthy:
        raise RemoteError("etcd runs and does not answer on any node", source=", ".join(running), code="EtcdSilent")
    asked = next(iter(healthy))
    listed, alarmed = await asyncio.gather(ask(ports, asked, bundle, MEMBERS), ask(ports, asked, bundle, ALARMS))
    members = tuple(_member(item) for item in listed[0].messages[0].members)
    leaders = {found.leader for found in healthy.values()}
    leader = next((member.address for member in members if member.id in leaders), None)
    return EtcdView(members, tuple(healthy), leader, tuple(_alarms(alarmed[0])))


async def _service(ports: Ports, address: str, bundle: Opaque) -> str | RemoteError:
    """The state of a node's etcd service: a word, "" when it has none, or why it cannot be told."""
    try:
        replies = await ask(ports, address, bundle, SERVICES)
    except RemoteError as error:
        return error
    for service in replies[0].messages[0].services:
        if service.id == "etcd":
            running = service.state == _RUNS and (service.health.healthy or service.health.unknown)
            return _RUNS if running else "Starting" if service.state == _RUNS else str(service.state)
    return ""


async def _status(ports: Ports, address: str, bundle: Opaque) -> Any:
    """The member's status when it is in order, else None."""
    try:
        replies = await ask(ports, address, bundle, STATUS)
    except RemoteError:
        return None
    status = replies[0].messages[0].member_status
    return status if status.leader and not status.errors and not status.is_learner else None


def _undecided(endpoints: Sequence[str], services: Sequence[str | RemoteError]) -> RemoteError:
    told = []
    for address, found in zip(endpoints, services, strict=True):
        word = found.message if isinstance(found, RemoteError) else f"etcd is {found or 'absent'}"
        told.append(f"{address}: {word}")
    return RemoteError("; ".join(told) or "no endpoints", operation="etcd", sent="yes", code="EtcdUndecided")


def _member(item: Any) -> Member:
    url = next(iter([*item.peer_urls, *item.client_urls]), "")
    return Member(item.id, item.hostname, host_of(url), item.is_learner)


def _alarms(reply: Any) -> list[str]:
    kind = reply.messages[0].DESCRIPTOR.fields_by_name["member_alarms"].message_type.fields_by_name["alarm"]
    names = {value.number: value.name for value in kind.enum_type.values}
    alarms = [alarm for message in reply.messages for alarm in message.member_alarms]
    return [f"{alarm.member_id:016x} {names[alarm.alarm]}" for alarm in alarms if alarm.alarm]
