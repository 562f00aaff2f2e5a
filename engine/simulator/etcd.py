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
    """What the members agree on. `key` is unique, `talos_cluster` the id in the configurations.

    `keys` are (key, value, revision) of what was written, `revision` grows with each of them and with each
    change of members or leader; `restored_from` is the key of the cluster whose snapshot it began with.
    """

    key: str
    talos_cluster: str
    members: tuple[Member, ...]
    leader: int = 0
    term: int = 2
    index: int = 8
    alarms: tuple[tuple[int, int], ...] = ()
    revision: int = 2
    keys: tuple[tuple[str, str, int], ...] = ()
    restored_from: str = ""

    def member(self, member_id: int) -> Member | None:
        """The member with this id, None when it never was or is no longer one."""
        return next((member for member in self.members if member.id == member_id), None)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, state: dict[str, Any]) -> EtcdCluster:
        members = tuple(Member(**member) for member in state["members"])
        alarms = tuple((member, alarm) for member, alarm in state["alarms"])
        keys = tuple((key, value, revision) for key, value, revision in state.get("keys", ()))
        return cls(**{**state, "members": members, "alarms": alarms, "keys": keys})


@dataclass(frozen=True, slots=True)
class Restored:
    """What a snapshot holds: the key of the cluster that it was taken of, "" when that is unknown, and its state."""

    key: str
    revision: int
    keys: tuple[tuple[str, str, int], ...]


def restored(talos_cluster: str, member: Member, found: Restored) -> EtcdCluster:
    """A new cluster of one that goes on where a snapshot ends: its keys and revision, none of its members."""
    return replace(
        form(talos_cluster, member), revision=found.revision, keys=found.keys, restored_from=found.key
    )


def _later(cluster: EtcdCluster) -> EtcdCluster:
    """One entry more in the log: a change of members or of the leader, and what Kubernetes writes of it."""
    return replace(cluster, index=cluster.index + 1, revision=cluster.revision + 1)


def put(cluster: EtcdCluster, key: str, value: str) -> EtcdCluster:
    """The cluster after somebody wrote a key."""
    later = _later(cluster)
    kept = tuple(item for item in cluster.keys if item[0] != key)
    return replace(later, keys=(*kept, (key, value, later.revision)))


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
    return replace(_later(cluster), members=(*cluster.members, replace(member, learner=True)))


def promoted(cluster: EtcdCluster, member_id: int) -> EtcdCluster:
    """The cluster after this learner became a voter."""
    members = tuple(
        replace(member, learner=False) if member.id == member_id else member for member in cluster.members
    )
    return replace(_later(cluster), members=members)


def without(cluster: EtcdCluster, member_id: int, running: Collection[int]) -> EtcdCluster:
    """The cluster after a member left or was removed; a leader that left is replaced at once."""
    members = tuple(member for member in cluster.members if member.id != member_id)
    alarms = tuple(alarm for alarm in cluster.alarms if alarm[0] != member_id)
    smaller = replace(_later(cluster), members=members, alarms=alarms)
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
    return replace(_later(cluster), leader=min(candidates), term=cluster.term + 1)
