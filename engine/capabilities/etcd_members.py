"""What the nodes of one control plane say of their etcd: asked of all at once, summed up once.

Not an ability itself. Etcd is asked only on nodes whose etcd service runs, so that nothing is
asked at the wrong time; a node that does not answer is neither counted as healthy nor taken for one
without etcd. Neighbours: `etcd_state` and `machine_retire`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
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
CALLS = (SERVICES, STATUS, MEMBERS, ALARMS)

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
    """Etcd as its nodes see it together.

    `ids` tells which member each node that answered says it is; `healthy` are the nodes of voting members in
    order, each member once; `leader` is the node of the leader, None unless all agree on it and it was asked.
    """

    members: tuple[Member, ...]
    ids: Mapping[str, int]
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
        return self._quorate and len(self.healthy) - 1 >= (self.voters - 1) // 2 + 1

    def can_spare(self, address: str, member: Member) -> bool:
        """Whether this member of the node at `address` may leave; a broken or learning one costs nothing."""
        left = sum(healthy != address for healthy in self.healthy)
        voters = self.voters if member.learner else self.voters - 1
        return self._quorate and left >= voters // 2 + 1

    def elsewhere(self, address: str, member: Member) -> str:
        """Another address at which a node says that it is this member; "" when there is none."""
        return next((at for at, known in self.ids.items() if known == member.id and at != address), "")

    @property
    def _quorate(self) -> bool:
        return len(self.healthy) >= self.quorum

    def member_at(self, address: str) -> Member | None:
        """The member that the node at this address says it is; of a silent one, the member with this address."""
        if address in self.ids:
            return next((member for member in self.members if member.id == self.ids[address]), None)
        return next((member for member in self.members if member.address == address), None)


async def view(ports: Ports, nodes: Sequence[str], bundle: Opaque, *, expected: int = 0) -> EtcdView | None:
    """Etcd of these control plane nodes; None when every one says that it waits for its bootstrap.

    With fewer nodes than `expected` None is never said: the missing one may be the bootstrapped one. Raises
    RemoteError when neither can be told.
    """
    endpoints = tuple(dict.fromkeys(nodes))
    services = await asyncio.gather(*(_service(ports, address, bundle) for address in endpoints))
    running = [address for address, found in zip(endpoints, services, strict=True) if found == _RUNS]
    if not running:
        if endpoints and len(endpoints) >= expected and all(found == _WAITS for found in services):
            return None
        raise _undecided(endpoints, services)
    statuses = await asyncio.gather(*(_status(ports, address, bundle) for address in running))
    answered = {address: found for address, found in zip(running, statuses, strict=True) if found is not None}
    sound = {address: found for address, found in answered.items() if _sound(found)}
    if not sound:
        raise RemoteError("etcd runs and is sound on no node", source=", ".join(running), code="EtcdSilent")
    asked = next(iter(sound))
    listed, alarmed = await asyncio.gather(
        ask(ports, asked, bundle, MEMBERS), ask(ports, asked, bundle, ALARMS)
    )
    members = tuple(_member(item) for item in listed[0].messages[0].members)
    return EtcdView(
        members,
        {address: found.member_id for address, found in answered.items()},
        _healthy(sound, members),
        _leader(sound),
        tuple(_alarms(alarmed[0])),
    )


def _sound(status: Any) -> bool:
    return bool(status.leader) and not status.errors and not status.is_learner


def _healthy(sound: Mapping[str, Any], members: Sequence[Member]) -> tuple[str, ...]:
    """One node a voting member: two addresses of one machine must not count as two votes."""
    voting = {member.id for member in members if not member.learner}
    by_member = {
        found.member_id: address
        for address, found in reversed(tuple(sound.items()))
        if found.member_id in voting
    }
    return tuple(address for address in sound if address in by_member.values())


def _leader(sound: Mapping[str, Any]) -> str | None:
    leaders = {found.leader for found in sound.values()}
    if len(leaders) != 1:
        return None
    return next((address for address, found in sound.items() if found.member_id in leaders), None)


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
    """What the member of a node says of itself; None when it does not answer."""
    try:
        replies = await ask(ports, address, bundle, STATUS)
    except RemoteError:
        return None
    return replies[0].messages[0].member_status


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
