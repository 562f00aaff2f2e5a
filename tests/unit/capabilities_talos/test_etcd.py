"""`talos.etcd.state` and `talos.machine.retire`: quorum first, silence is no answer."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from etcd_nodes import Etcd
from talos_node import address

from engine.base.errors import CapabilityError, RemoteError
from engine.capabilities.etcd_state import CAPABILITY as STATE
from engine.capabilities.machine_retire import CAPABILITY as RETIRE


def at(*numbers):
    return [address(number) for number in numbers]


def test_a_running_etcd_is_described_by_its_members(network, run):
    Etcd([1, 2, 3], leader=2).serve(network, 1, 2, 3)
    found = run(STATE, endpoints=at(1, 2, 3))
    assert found["phase"] == "running"
    assert [member["address"] for member in found["members"]] == at(1, 2, 3) == found["addresses"]
    assert found["members"][0]["id"] == f"{1001:016x}"
    assert (found["healthy"], found["quorum"], found["canLose"]) == (3, 2, True)
    assert found["leader"] == address(2)
    assert found["followers"] == at(1, 3)


def test_a_node_that_is_down_is_not_counted_as_healthy(network, run):
    Etcd([1, 2, 3]).serve(network, 1, 2)
    found = run(STATE, endpoints=at(1, 2, 3))
    assert (found["phase"], found["healthy"], found["canLose"]) == ("running", 2, False)


def test_a_member_with_errors_is_not_counted_as_healthy(network, run):
    Etcd([1, 2, 3], errors={3: "corrupt"}).serve(network, 1, 2, 3)
    assert run(STATE, endpoints=at(1, 2, 3))["healthyAddresses"] == at(1, 2)


def test_one_machine_named_twice_has_one_vote(network, run):
    Etcd([1, 2, 3]).serve(network, 1)
    found = run(STATE, endpoints=[address(1), address(1), f"{address(1)}:50000"])
    assert (found["healthy"], found["canLose"]) == (1, False)


def test_etcd_waits_for_its_bootstrap_only_when_every_node_says_so(network, run):
    etcd = Etcd([])
    etcd.serve(network, 1, 2)
    assert run(STATE, endpoints=at(1, 2), expected=2)["phase"] == "uninitialized"
    with pytest.raises(RemoteError, match="nothing listens"):
        run(STATE, endpoints=at(1, 2, 3))
    etcd.states[2] = "Waiting"
    with pytest.raises(RemoteError, match="etcd is Waiting"):
        run(STATE, endpoints=at(1, 2))


def test_a_control_plane_that_is_not_listed_whole_never_waits_for_its_bootstrap(network, run):
    Etcd([]).serve(network, 1)
    with pytest.raises(RemoteError) as caught:
        run(STATE, endpoints=at(1), expected=3)
    assert caught.value.code == "EtcdUndecided"


def test_etcd_is_not_asked_where_it_does_not_run(network, run):
    nodes = Etcd([1]).serve(network, 1, 2)
    run(STATE, endpoints=at(1, 2))
    assert dict(nodes[2].received) == {"ServiceList": 1}


def test_a_machine_leaves_etcd_before_it_wipes_itself_and_a_leader_hands_over_first(network, run):
    etcd = Etcd([1, 2, 3], leader=1)
    etcd.serve(network, 1, 2, 3)
    done = run(RETIRE, endpoint=address(1), role="controlplane", peers=at(2, 3))
    assert (done["done"], done["action"]) == (True, "reset")
    assert etcd.did == ["forfeit 1", "leave 1", "reset 1 graceful=False reboot=True"]


def test_a_machine_that_etcd_needs_is_not_retired(network, run):
    etcd = Etcd([1, 2, 3])
    etcd.serve(network, 1, 2)
    with pytest.raises(CapabilityError) as caught:
        run(RETIRE, endpoint=address(1), role="controlplane", peers=at(2, 3))
    assert caught.value.code == "QuorumAtRisk"
    assert etcd.did == []


def test_naming_the_machine_among_its_own_peers_does_not_make_a_quorum(network, run):
    etcd = Etcd([1, 2, 3])
    etcd.serve(network, 1, 2)
    with pytest.raises(CapabilityError):
        run(RETIRE, endpoint=address(1), role="controlplane", peers=at(1, 2, 3))
    assert etcd.did == []


def test_a_broken_member_may_go_while_the_others_have_a_quorum(network, run):
    etcd = Etcd([1, 2, 3], errors={3: "corrupt"})
    etcd.serve(network, 1, 2, 3)
    run(RETIRE, endpoint=address(3), role="controlplane", peers=at(1, 2))
    assert etcd.did == ["leave 3", "reset 3 graceful=False reboot=True"]


def test_a_machine_that_has_left_already_is_only_wiped(network, run):
    etcd = Etcd([2, 3], states={1: "Finished"})
    etcd.serve(network, 1, 2, 3)
    run(RETIRE, endpoint=address(1), role="controlplane", peers=at(2, 3))
    assert etcd.did == ["reset 1 graceful=False reboot=True"]


def test_a_worker_and_a_whole_cluster_are_wiped_without_asking_etcd(network, run):
    etcd = Etcd([1])
    etcd.serve(network, 1, 2)
    run(RETIRE, endpoint=address(2), role="worker", peers=at(1))
    run(RETIRE, endpoint=address(1), role="controlplane", peers=[], whole=True)
    assert run.asked == ["Reset", "Reset"]


def test_the_only_member_of_a_cluster_that_goes_on_is_not_retired(network, run):
    etcd = Etcd([1])
    etcd.serve(network, 1)
    with pytest.raises(CapabilityError) as caught:
        run(RETIRE, endpoint=address(1), role="controlplane", peers=[])
    assert (caught.value.code, etcd.did) == ("QuorumAtRisk", [])


def test_a_node_given_up_as_dead_is_removed_by_the_others(network, run):
    etcd = Etcd([1, 2, 3])
    etcd.serve(network, 1, 2)
    done = run(RETIRE, endpoint=address(3), role="controlplane", peers=at(1, 2), abandon=True)
    assert (done["action"], done["told"]) == ("removed", f"{address(1)} took its member out of etcd")
    assert etcd.did == ["remove 3"]


def test_a_dead_node_stays_a_member_while_the_others_have_no_quorum(network, run):
    etcd = Etcd([1, 2, 3])
    etcd.serve(network, 1)
    with pytest.raises(CapabilityError) as caught:
        run(RETIRE, endpoint=address(3), role="controlplane", peers=at(1, 2), abandon=True)
    assert (caught.value.code, etcd.did) == ("QuorumAtRisk", [])


def test_a_node_that_answers_is_not_given_up_unless_somebody_insists(network, run):
    etcd = Etcd([1, 2, 3])
    etcd.serve(network, 1, 2, 3)
    given_up = {"endpoint": address(3), "role": "controlplane", "peers": at(1, 2), "abandon": True}
    with pytest.raises(CapabilityError) as caught:
        run(RETIRE, **given_up)
    assert (caught.value.code, etcd.did) == ("StillThere", [])
    assert run(RETIRE, **given_up, force=True)["action"] == "removed"
    assert etcd.did == ["remove 3"]


def test_nobody_can_insist_on_removing_a_member_that_etcd_needs(network, run):
    etcd = Etcd([1, 2, 3])
    etcd.serve(network, 1, 3)
    given_up = {"endpoint": address(3), "role": "controlplane", "abandon": True, "force": True}
    assert run(RETIRE, **given_up, peers=at(1, 2))["action"] == "left"
    assert run(RETIRE, **given_up, peers=at(4))["action"] == "left"
    assert etcd.did == []


def test_a_member_that_lives_on_under_another_address_is_not_removed_with_its_former_one(network, run):
    etcd = Etcd([1, 2, 3], moved={3: 4})
    etcd.serve(network, 1, 2, 4)
    done = run(RETIRE, endpoint=address(3), role="controlplane", peers=at(1, 2, 4), abandon=True)
    assert (done["action"], etcd.did) == ("nothing", [])


def test_a_machine_that_is_to_stay_under_another_address_is_not_wiped_under_its_former_one(network, run):
    etcd = Etcd([1, 2, 3], moved={3: 4})
    etcd.serve(network, 1, 2, 3, 4)
    done = run(RETIRE, endpoint=address(3), role="controlplane", peers=at(1, 2, 4))
    assert (done["action"], etcd.did) == ("nothing", [])
    assert address(4) in done["told"]
