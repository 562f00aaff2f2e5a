"""`talos.etcd.recoverable` and `talos.etcd.recover`: never beside a living quorum, and told once."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from etcd_nodes import Etcd
from talos_node import address

from engine.base.errors import CapabilityError, RemoteError
from engine.capabilities.etcd_recover import CAPABILITY as RECOVER
from engine.capabilities.etcd_recoverable import CAPABILITY as RECOVERABLE

SINCE = "2027-01-15T08:00:00Z"


def at(*numbers):
    return [address(number) for number in numbers]


def test_a_control_plane_without_etcd_may_be_recovered_on_its_first_machine_or_a_named_one(network, run):
    Etcd([]).serve(network, 1, 2, 3)
    found = run(RECOVERABLE, endpoints=at(1, 2, 3))
    targets = [f"{where}@{SINCE}" for where in at(1, 2, 3)]
    assert found == {"target": targets[0], "waiting": targets, "blocked": None}
    assert run(RECOVERABLE, endpoints=at(1, 2, 3), machine=address(3))["target"] == targets[2]
    blocked = run(RECOVERABLE, endpoints=at(1, 2, 3), machine=address(9))["blocked"]
    assert "is no machine of this control plane" in blocked


@pytest.mark.parametrize("voters", [[1, 2, 3], [2, 3], [3]])
def test_nothing_is_recovered_beside_a_living_member(network, run, voters):
    etcd = Etcd(voters)
    etcd.serve(network, 1, 2, 3)
    found = run(RECOVERABLE, endpoints=at(1, 2, 3))
    assert found["target"] is None
    assert f"a quorum of etcd lives ({', '.join(at(*voters))})" in found["blocked"]
    with pytest.raises(CapabilityError, match="a quorum of etcd lives") as caught:
        run(RECOVER, endpoints=at(1, 2, 3), target=f"{address(1)}@{SINCE}")
    assert (caught.value.sent, etcd.did) == ("no", [])


def test_a_member_that_lost_its_quorum_has_to_be_reset_first(network, run):
    etcd = Etcd([3], errors={3: "etcdserver: no leader"})
    etcd.serve(network, 1, 2, 3)
    blocked = run(RECOVERABLE, endpoints=at(1, 2, 3))["blocked"]
    assert f"{address(3)} still runs a member" in blocked


def test_silent_machines_that_may_be_a_quorum_leave_it_undecided(network, run):
    etcd = Etcd([])
    etcd.serve(network, 1)
    for capability, more in ((RECOVERABLE, {}), (RECOVER, {"target": f"{address(1)}@{SINCE}"})):
        with pytest.raises(RemoteError, match="may be a quorum"):
            run(capability, endpoints=at(1, 2, 3), **more)
    assert etcd.did == []


def test_a_silent_minority_holds_nothing_up(network, run):
    etcd = Etcd([])
    etcd.serve(network, 1, 2)
    assert run(RECOVERABLE, endpoints=at(1, 2, 3))["waiting"] == [f"{where}@{SINCE}" for where in at(1, 2)]
    assert run(RECOVER, endpoints=at(1, 2, 3), target=f"{address(1)}@{SINCE}")["sent"] is True
    assert etcd.did == ["bootstrap 1 recover=True"]


def test_a_machine_that_waits_since_another_time_was_told_before(network, run):
    etcd = Etcd([], since={1: 1_800_000_007})
    etcd.serve(network, 1, 2, 3)
    found = run(RECOVER, endpoints=at(1, 2, 3), target=f"{address(1)}@{SINCE}")
    assert (found["sent"], etcd.did) == (False, [])


def test_an_etcd_that_failed_is_told_in_its_own_words(network, run):
    etcd = Etcd([], states={1: "Failed"})
    etcd.serve(network, 1)
    blocked = run(RECOVERABLE, endpoints=at(1))["blocked"]
    assert "etcd is Failed: it is Failed" in blocked
    with pytest.raises(CapabilityError, match="it has to be configured"):
        run(RECOVER, endpoints=at(1), target=f"{address(1)}@{SINCE}")
    assert etcd.did == []
