"""A control plane of fake nodes with one etcd: each answers as its member would."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from talos_node import Network, Node, address, reply


@dataclass
class Etcd:
    """`voters` are the numbers of the nodes that are members; a member's id is 1000 + its number.

    `since`: when the etcd service of a node changed last, seconds since the epoch.
    `moved`: member -> the number of the node that it runs on now, though etcd lists its former address.
    """

    voters: list[int]
    leader: int | None = None
    states: dict[int, str] = field(default_factory=dict)
    errors: dict[int, str] = field(default_factory=dict)
    did: list[str] = field(default_factory=list)
    moved: dict[int, int] = field(default_factory=dict)
    since: dict[int, int] = field(default_factory=dict)

    def serve(self, network: Network, *numbers: int) -> dict[int, Node]:
        return {number: self._node(network, number) for number in numbers}

    def _node(self, network: Network, number: int) -> Node:
        node = network.node(number)
        node.handlers |= {
            "ServiceList": lambda _request, _context: self._services(number),
            "EtcdStatus": lambda _request, _context: self._status(number),
            "EtcdMemberList": lambda _request, _context: self._members(),
            "EtcdAlarmList": lambda _request, _context: _one("EtcdAlarmListResponse"),
            "EtcdForfeitLeadership": lambda _request, _context: self._forfeit(number),
            "EtcdLeaveCluster": lambda _request, _context: self._leave(number),
            "EtcdRemoveMemberByID": lambda request, _context: self._remove(request.member_id - 1000),
            "Reset": lambda request, _context: self._reset(number, request),
            "Bootstrap": lambda request, _context: self._bootstrap(number, request),
        }
        return node

    def _services(self, number: int) -> Any:
        answer = _one("ServiceListResponse")
        runs = self._member(number) in self.voters
        state = self.states.get(number, "Running" if runs else "Preparing")
        answer.messages[0].services.add(id="apid", state="Running").health.healthy = True
        if state:
            service = answer.messages[0].services.add(id="etcd", state=state)
            service.health.healthy = state == "Running"
            event = service.events.events.add(state=state, msg=f"it is {state}")
            event.ts.FromSeconds(self.since.get(number, 1_800_000_000))
        return answer

    def _member(self, number: int) -> int:
        return next((member for member, place in self.moved.items() if place == number), number)

    def _status(self, number: int) -> Any:
        answer = _one("EtcdStatusResponse")
        status = answer.messages[0].member_status
        leader = self.leader or self.voters[0]
        status.member_id, status.leader = 1000 + self._member(number), 1000 + leader
        if number in self.errors:
            status.errors.append(self.errors[number])
        return answer

    def _members(self) -> Any:
        answer = _one("EtcdMemberListResponse")
        for number in self.voters:
            url = f"https://{address(number)}:2380"
            answer.messages[0].members.add(id=1000 + number, hostname=f"cp-{number}", peer_urls=[url])
        return answer

    def _forfeit(self, number: int) -> Any:
        self.did.append(f"forfeit {number}")
        self.leader = next(other for other in self.voters if other != number)
        return _one("EtcdForfeitLeadershipResponse")

    def _leave(self, number: int) -> Any:
        self.did.append(f"leave {number}")
        self.voters.remove(number)
        return _one("EtcdLeaveClusterResponse")

    def _remove(self, number: int) -> Any:
        self.did.append(f"remove {number}")
        self.voters.remove(number)
        return _one("EtcdRemoveMemberByIDResponse")

    def _bootstrap(self, number: int, request: Any) -> Any:
        self.did.append(f"bootstrap {number} recover={request.recover_etcd}")
        return _one("BootstrapResponse")

    def _reset(self, number: int, request: Any) -> Any:
        self.did.append(f"reset {number} graceful={request.graceful} reboot={request.reboot}")
        return _one("ResetResponse")


def _one(name: str) -> Any:
    answer = reply(name)
    answer.messages.add()
    return answer
