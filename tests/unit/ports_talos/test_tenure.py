"""Outside of a tenure no call that changes a node leaves; one that has left has to end before the lease does."""

from __future__ import annotations

import time

import pytest
from talos_node import address, identity, reply

from engine import protocol
from engine.base.errors import LeadershipLost, OutcomeUnknown
from engine.base.tenure import Tenure, boot_time

WHO = identity()
CHANGING = sorted(path for path, method in protocol.methods().items() if method.effect != "read")
RECOVER = "machine.MachineService/EtcdRecover"


def within(seconds):
    tenure = Tenure()
    tenure.extend(begin_by=boot_time() + seconds, end_by=boot_time() + seconds)
    return tenure


def test_whoever_does_not_lead_reads_and_changes_nothing(network, callers):
    node, call = network.node(1), callers(tenure=Tenure())
    assert call(address(1), WHO)[0].messages
    for path in CHANGING:
        if not protocol.methods()[path].client_streaming:
            with pytest.raises(LeadershipLost):
                call(address(1), WHO, path)
    assert [each.sent for each in call.records[1:]] == ["no"] * (len(call.records) - 1)
    assert node.received == {"Version": 1}


def test_a_call_that_changes_something_ends_before_the_lease_whatever_its_own_deadline(network, callers):
    node, call = network.node(1), callers(tenure=within(0.5))

    def slow(request, context):
        time.sleep(3)
        return reply("RebootResponse")

    node.handlers["Reboot"] = slow
    began = time.monotonic()
    with pytest.raises(OutcomeUnknown):
        call(address(1), WHO, "Reboot", deadline_s=30)
    assert time.monotonic() - began < 2.5


def test_an_upload_stops_with_the_message_that_comes_after_the_tenure(network, callers):
    tenure = within(60)
    node, call, came = network.node(1), callers(tenure=tenure), []

    def taking(messages, context):
        came.extend(messages)
        return reply("EtcdRecoverResponse")

    node.handlers["EtcdRecover"] = taking

    async def pieces():
        for number in range(5):
            if number == 3:
                tenure.end()
            yield protocol.message_class("common.Data")(bytes=b"x")

    with pytest.raises(LeadershipLost):
        call.client.run(call.client.upload(address(1), WHO, RECOVER, pieces(), deadline_s=10.0), timeout_s=30)
    assert tenure.wait_idle(5)
