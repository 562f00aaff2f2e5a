"""The etcd cluster that machines form: members, learner, leader, term, quorum. Pure.

Values and functions only: who runs at the moment is always given. Rules of etcd itself: one
learner at a time, a majority of voters decides, a leader is elected among running voters, each
election raises the term. Neighbours: `cluster` keeps them and says who runs; `disk` saves them.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

ALARMS: Final = ("NONE", "NOSPACE", "CORRUPT")


@dataclass(frozen=True, slots=True)
class Member:
    """One member; `name` is the node's host name, `address` its IP."""

    id: int
    name: str
    address: str
    learner: bool = False


@dataclass(frozen=True, slots=True)
class EtcdCluster:
    """What the members agree on. `key` is unique, `talos_cluster` the id in the configurations."""

    key: str
    talos_cluster: str
    members: tuple[Member, ...]
    leader: int = 0
    term: int = 2
    index: int = 8
    alarms: tuple[tuple[int, int], ...] = ()

    def member(self, member_id: int) -> Member | None:
        """The member with this id, None when it never was or is no longer one."""
        return next((member for member in self.members if member.id == member_id), None)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, state: dict[str, Any]) -> EtcdCluster:
        members = tuple(Member(**member) for member in state["members"])
        alarms = tuple((member, alarm) for member, alarm in state["alarms"])
        return cls(**{**state, "members": members, "alarms": alarms})


def new_member_id() -> int:
    """A random 64-bit id without the top bit, so that it also fits a signed integer."""
    return uuid.uuid4().int >> 65


def form(talos_cluster: str, member: Member) -> EtcdCluster:
    """A new cluster of one, as Bootstrap makes it."""
    return EtcdCluster(key=uuid.uuid4().hex, talos_cluster=talos_cluster, members=(member,), leader=member.id)


def has_quorum(cluster: EtcdCluster, running: Collection[int]) -> bool:
    """Whether a majority of the voters is among the `running` member ids."""
    voters = [member.id for member in cluster.members if not member.learner]
    return sum(1 for voter in voters if voter in running) > len(voters) // 2


def may_join(cluster: EtcdCluster, running: Collection[int]) -> bool:
    """Whether a new learner is accepted now: there is a quorum and no other learner."""
    return has_quorum(cluster, running) and not any(member.learner for member in cluster.members)


def with_learner(cluster: EtcdCluster, member: Member) -> EtcdCluster:
    """The cluster with one more member, which does not vote yet."""
    return replace(
        cluster, members=(*cluster.members, replace(member, learner=True)), index=cluster.index + 1
    )


def promoted(cluster: EtcdCluster, member_id: int) -> EtcdCluster:
    """The cluster after this learner became a voter."""
    members = tuple(
        replace(member, learner=False) if member.id == member_id else member for member in cluster.members
    )
    return replace(cluster, members=members, index=cluster.index + 1)


def without(cluster: EtcdCluster, member_id: int, running: Collection[int]) -> EtcdCluster:
    """The cluster after a member left or was removed; a leader that left is replaced at once."""
    members = tuple(member for member in cluster.members if member.id != member_id)
    alarms = tuple(alarm for alarm in cluster.alarms if alarm[0] != member_id)
    smaller = replace(cluster, members=members, alarms=alarms, index=cluster.index + 1)
    return settled(smaller, set(running) - {member_id})


def settled(cluster: EtcdCluster, running: Collection[int]) -> EtcdCluster:
    """The cluster with a leader that runs, or leader 0 when there is no quorum."""
    if not has_quorum(cluster, running):
        return replace(cluster, leader=0) if cluster.leader else cluster
    leader = cluster.member(cluster.leader)
    if leader is not None and not leader.learner and leader.id in running:
        return cluster
    return _elected(cluster, running)


def forfeited(cluster: EtcdCluster, running: Collection[int]) -> EtcdCluster:
    """The cluster after its leader moved leadership to another running voter, if there is one."""
    return _elected(cluster, set(running) - {cluster.leader})


def _elected(cluster: EtcdCluster, running: Collection[int]) -> EtcdCluster:
    candidates = [member.id for member in cluster.members if not member.learner and member.id in running]
    if not candidates:
        return cluster
    return replace(cluster, leader=min(candidates), term=cluster.term + 1, index=cluster.index + 1)
