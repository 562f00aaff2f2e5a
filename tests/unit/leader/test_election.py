"""The election, decided with fake clocks: who may lead when the lease is renewed, runs out, vanishes or is meddled with."""

from __future__ import annotations

import pytest

from engine.election import Sight, Terms, looked, move
from engine.ports.kube.lease import LeaseRecord, record_of
from tests.unit.leader.candidates import TERMS, Candidate, Leases


@pytest.fixture
def server():
    return Leases()


@pytest.fixture
def pair(server):
    """One that leads, and one that has seen it do so."""
    first, second = Candidate(server, "first"), Candidate(server, "second")
    first.look()
    second.look()
    assert (first.leads, second.leads) == (True, False)
    return first, second


def wait(server, seconds):
    server.now += seconds


def test_the_first_to_come_leads_and_the_second_waits(server, pair):
    spec = server.lease["spec"]
    assert (spec["holderIdentity"], spec["leaseDurationSeconds"], spec["leaseTransitions"]) == (
        "first",
        15,
        0,
    )
    assert [each.may_act() for each in pair] == [True, False]


def test_who_leads_renews_with_one_write_and_without_asking_first(server, pair):
    first, _ = pair
    acquired, writes = server.lease["spec"]["acquireTime"], server.writes
    wait(server, 2)
    first.look()
    assert server.writes == writes + 1
    assert (server.lease["spec"]["acquireTime"], server.lease["spec"]["leaseTransitions"]) == (acquired, 0)


def test_a_lease_that_is_renewed_is_never_taken_however_often_it_is_looked_at(server, pair):
    first, second = pair
    for _ in range(60):
        wait(server, 1)
        first.look()
        second.look()
    assert (first.leads, second.leads) == (True, False)


def test_a_silent_leader_is_followed_after_its_lease_and_not_before(server, pair):
    _, second = pair
    wait(server, 14.9)
    second.look()
    assert not second.leads
    wait(server, 0.2)
    second.look()
    assert second.leads
    assert server.lease["spec"]["leaseTransitions"] == 1


def test_a_lease_counts_from_when_it_was_seen_not_from_what_it_says(server):
    server.put(
        {"holderIdentity": "x", "leaseDurationSeconds": 15, "renewTime": "1999-01-01T00:00:00.000000Z"}
    )
    late = Candidate(server, "late")
    late.look()
    wait(server, 10)
    late.look()
    assert not late.leads, "it has seen it for ten seconds only"
    server.put({**server.lease["spec"], "renewTime": "1999-01-01T00:00:01.000000Z"})
    late.look()
    wait(server, 14)
    late.look()
    assert not late.leads, "it has changed meanwhile"
    wait(server, 2)
    late.look()
    assert late.leads


def test_the_duration_that_counts_is_the_holders_own(server):
    server.put({"holderIdentity": "x", "leaseDurationSeconds": 60})
    other = Candidate(server, "other")
    other.look()
    wait(server, 59)
    other.look()
    assert not other.leads
    wait(server, 2)
    other.look()
    assert other.leads


def test_an_effect_begins_before_the_renew_deadline_only_and_has_to_end_before_the_lease_does(server, pair):
    first, _ = pair
    began = server.now
    wait(server, 9.9)
    assert first.may_act()
    assert server.now + first.tenure.check("test") <= began + TERMS.lease_s - TERMS.margin_s
    wait(server, 0.2)
    assert not first.may_act()


def test_who_could_not_renew_until_the_deadline_has_lost_though_nobody_else_took_it(server, pair):
    first, _ = pair
    server.unreachable.add("first")
    for _ in range(4):
        wait(server, 2)
        first.look()
    assert first.leads
    wait(server, 2.1)
    first.look()
    server.unreachable.clear()
    first.look()
    assert not first.leads
    assert "not renewed for 10 s" in first.lost[0]
    assert not first.may_act()


def test_who_sees_another_holder_has_lost_at_once_and_changes_nothing_any_more(server, pair):
    first, _ = pair
    server.put({"holderIdentity": "intruder", "leaseDurationSeconds": 15})
    first.look()
    assert first.lost == ["lost the lease here/lease: intruder holds it now"]
    assert not first.may_act()
    assert server.holder() == "intruder"


def test_a_paused_leader_may_do_nothing_when_it_wakes_even_before_it_has_looked(server, pair):
    first, second = pair
    wait(server, 16)
    second.look()
    assert second.leads
    assert not first.may_act()
    first.look()
    assert first.lost


def test_conflicts_are_not_a_loss_while_nobody_else_holds_it(server, pair):
    first, _ = pair
    server.conflicts = 1
    wait(server, 2)
    first.look()
    assert (first.leads, first.lost, server.holder()) == (True, [], "first")


def test_a_storm_of_conflicts_ends_it_at_the_deadline(server, pair):
    first, second = pair
    server.conflicts = 1000
    for _ in range(6):
        wait(server, 2)
        first.look()
    assert first.lost
    server.conflicts = 0
    wait(server, 15)
    second.look()
    assert second.leads


def test_a_lease_that_somebody_deletes_is_written_anew_by_its_holder_and_by_nobody_before(server, pair):
    first, second = pair
    server.lease = None
    second.look()
    assert (second.leads, server.lease) == (False, None)
    wait(server, 2)
    first.look()
    assert (first.leads, server.holder()) == (True, "first")


def test_a_deleted_lease_of_a_dead_holder_is_taken_once_it_would_have_run_out(server, pair):
    _, second = pair
    server.lease = None
    wait(server, 14)
    second.look()
    assert not second.leads
    wait(server, 2)
    second.look()
    assert second.leads


def test_a_lease_that_was_given_up_is_taken_at_the_next_look(server, pair):
    first, second = pair
    first.election.release()
    assert (server.holder(), server.lease["spec"]["leaseDurationSeconds"]) == ("", 1)
    assert not first.may_act()
    second.look()
    assert (second.leads, server.lease["spec"]["leaseTransitions"]) == (True, 1)


def test_a_lease_in_ones_own_name_whose_answer_was_lost_is_taken(server):
    server.put({"holderIdentity": "me", "leaseDurationSeconds": 15})
    mine = Candidate(server, "me")
    mine.look()
    assert mine.leads


@pytest.mark.parametrize(
    "spec",
    [
        None,
        [],
        {},
        {"holderIdentity": None, "leaseDurationSeconds": None},
        {"holderIdentity": 7, "leaseTransitions": -1},
        {"holderIdentity": "", "renewTime": 3},
    ],
)
def test_a_lease_that_names_no_holder_in_any_way_is_free(server, spec):
    server.put(spec)
    one = Candidate(server, "one")
    one.look()
    assert one.leads
    assert record_of(server.lease).transitions >= 0


@pytest.mark.parametrize("seconds", [None, 0, -5, "15", 1.5, True])
def test_a_holder_that_does_not_say_for_how_long_has_it_as_long_as_we_would(server, seconds):
    server.put({"holderIdentity": "odd", "leaseDurationSeconds": seconds, "renewTime": "soon"})
    one = Candidate(server, "one")
    one.look()
    wait(server, 14)
    one.look()
    assert not one.leads
    wait(server, 2)
    one.look()
    assert one.leads


def test_an_answer_out_of_the_past_costs_nobody_the_lease():
    terms = Terms(lease_s=15, renew_s=10, retry_s=2)
    former = LeaseRecord(holder="former", seconds=15)
    sight = looked(Sight(), former, "5", 0.0, terms, "me")
    assert move(sight, "me", 16.0, terms, leads=False) == "take"
    server = Leases(version=10)
    mine = Candidate(server, "mine")
    mine.look()
    old = {"metadata": {"resourceVersion": "3"}, "spec": {"holderIdentity": "former"}}
    mine.election._client.get = lambda key: old
    server.conflicts = 1
    wait(server, 2)
    mine.look()
    assert (mine.leads, mine.lost) == (True, [])


def test_what_others_have_written_into_the_lease_stays(server, pair):
    first, _ = pair
    server.put({**server.lease["spec"], "strategy": "OldestEmulationVersion"})
    first.look()
    assert server.lease["spec"]["strategy"] == "OldestEmulationVersion"
