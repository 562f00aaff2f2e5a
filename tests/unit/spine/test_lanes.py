"""Lanes: one holder at a time, held over a crash, free when the holder is gone."""

from __future__ import annotations

import pytest

from engine.act.lanes import SETTLE_S, Lanes
from engine.base.kinds import Key
from engine.base.model import Lane
from tests.unit.spine.server import LEASE
from tests.unit.spine.world import CONFIG_MAP, WIDGET


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def lanes(server, clock):
    return Lanes(server.client, clock)


def lane(server, holder="a", name="quorum", kind=WIDGET):
    return Lane(name=name, holder=Key(kind, server.namespace, holder))


def test_a_lane_has_one_holder_at_a_time(server, lanes):
    server.make("a")
    server.make("b")
    assert lanes.take(lane(server, "a"))
    assert not lanes.take(lane(server, "b"))
    assert lanes.holder(lane(server, "b")).endswith("/a")
    assert lanes.take(lane(server, "b", name="another"))


def test_a_lane_outlives_the_process_and_its_holder_takes_it_again(server, lanes, clock):
    server.make("a")
    server.make("b")
    lanes.take(lane(server, "a"))
    restarted = Lanes(server.client, clock)
    assert restarted.take(lane(server, "a"))
    assert not restarted.take(lane(server, "b"))


def test_the_lease_of_a_lane_goes_with_its_holder(server, lanes):
    owner = server.make("a")
    assert lanes.take(lane(server, "a"))
    found = server.client.get(Key(LEASE, server.namespace, "lane-quorum"))
    (reference,) = found["metadata"]["ownerReferences"]
    assert (reference["kind"], reference["name"], reference["uid"]) == (
        "Widget",
        "a",
        owner["metadata"]["uid"],
    )


@pytest.mark.parametrize("kind", [WIDGET, CONFIG_MAP])
def test_a_lane_whose_holder_is_gone_is_free_whatever_kind_the_holder_was(server, lanes, kind):
    server.make("b")
    assert lanes.take(lane(server, "gone", kind=kind))
    assert not lanes.take(lane(server, "b"))
    assert lanes.take(lane(server, "b"))


def test_a_lane_whose_holder_lives_is_kept_whatever_kind_the_holder_is(server, lanes):
    server.make("c", CONFIG_MAP)
    server.make("b")
    lanes.take(lane(server, "c", kind=CONFIG_MAP))
    assert [lanes.take(lane(server, "b")) for _ in range(3)] == [False, False, False]


def test_a_lease_that_is_not_written_in_our_way_is_never_broken(server, lanes):
    server.client.create(
        LEASE, server.namespace, {"metadata": {"name": "lane-quorum"}, "spec": {"holderIdentity": "somebody"}}
    )
    assert [lanes.take(lane(server, "b")) for _ in range(2)] == [False, False]


def test_only_the_holder_gives_a_lane_back(server, lanes, clock):
    lanes.take(lane(server, "a"))
    clock.now += SETTLE_S
    assert lanes.release(lane(server, "b"))
    assert server.get("lane-quorum", LEASE) is not None
    assert lanes.release(lane(server, "a"))
    assert server.get("lane-quorum", LEASE) is None


def test_a_lane_taken_a_moment_ago_is_not_given_back_on_older_observations(server, lanes, clock):
    lanes.take(lane(server, "a"))
    assert not lanes.release(lane(server, "a"))
    assert server.get("lane-quorum", LEASE) is not None
    clock.now += SETTLE_S
    assert lanes.release(lane(server, "a"))
    assert server.get("lane-quorum", LEASE) is None


def test_what_was_given_back_is_remembered_without_a_request_until_it_is_taken_again(server, lanes, clock):
    lanes.release(lane(server, "a"))
    server.requests.clear()
    lanes.release(lane(server, "a"))
    assert server.requests == []
    lanes.take(lane(server, "a"))
    clock.now += SETTLE_S
    lanes.release(lane(server, "a"))
    assert server.get("lane-quorum", LEASE) is None


def test_any_text_can_name_a_lane(server, lanes):
    server.make("a")
    odd = lane(server, "a", name="Ünïcode / and ${spaces} " + "x" * 300)
    assert lanes.take(odd)
    assert not lanes.take(lane(server, "b", name=odd.name))
    assert len(server.all(LEASE)) == 1
