"""The rules of etcd membership, without any machine."""

from __future__ import annotations

import json

import pytest

from engine.simulator import etcd
from engine.simulator.etcd import EtcdCluster, Member


def cluster(voters: int, learners: int = 0) -> EtcdCluster:
    members = [Member(number + 1, f"n{number}", f"127.0.0.{number}") for number in range(voters)]
    formed = etcd.form("c", members[0])
    for member in members[1:]:
        formed = etcd.promoted(etcd.with_learner(formed, member), member.id)
    for number in range(learners):
        formed = etcd.with_learner(formed, Member(100 + number, f"l{number}", "127.0.0.9"))
    return formed


@pytest.mark.parametrize(
    ("voters", "running", "quorum"),
    [
        (1, {1}, True),
        (1, set(), False),
        (2, {1}, False),
        (3, {1, 3}, True),
        (3, {2}, False),
        (4, {1, 2}, False),
    ],
)
def test_more_than_half_of_the_voters_make_a_quorum(voters: int, running: set[int], quorum: bool) -> None:
    assert etcd.has_quorum(cluster(voters), running) is quorum


def test_a_learner_neither_votes_nor_leads_nor_lets_another_one_in() -> None:
    formed = cluster(1, learners=1)
    assert not etcd.has_quorum(formed, {100})
    assert not etcd.may_join(formed, {1, 100})
    assert etcd.settled(formed, {100}).leader == 0


def test_each_election_raises_the_term_and_a_running_leader_stays() -> None:
    formed = cluster(3)
    assert etcd.settled(formed, {1, 2, 3}) is formed
    after = etcd.settled(formed, {2, 3})
    assert (after.leader, after.term) == (2, formed.term + 1)
    assert etcd.settled(after, {1, 2, 3}).leader == 2
    assert etcd.forfeited(after, {1, 2, 3}).leader == 1


def test_who_left_is_forgotten_with_his_alarms() -> None:
    formed = etcd.EtcdCluster(**{**_fields(cluster(3)), "alarms": ((1, 1), (2, 1))})
    after = etcd.without(formed, 1, {1, 2, 3})
    assert [member.id for member in after.members] == [2, 3]
    assert after.alarms == ((2, 1),)
    assert after.leader == 2


def test_a_cluster_comes_back_from_json_as_it_was() -> None:
    formed = cluster(2, learners=1)
    assert EtcdCluster.from_json(json.loads(json.dumps(formed.to_json()))) == formed


def _fields(formed: EtcdCluster) -> dict[str, object]:
    return {name: getattr(formed, name) for name in EtcdCluster.__dataclass_fields__}
