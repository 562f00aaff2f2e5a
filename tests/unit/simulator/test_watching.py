"""Streams: the watch of resources with its handshake, and events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from simulator_process import Simulation

from engine.protocol import message_class

WATCH = "cosi.resource.State/Watch"
STATUS = {
    "namespace": "runtime",
    "type": "MachineStatuses.runtime.talos.dev",
    "id": "machine",
    "api_version": 1,
}
SERVICES = {"namespace": "runtime", "type": "Services.v1alpha1.talos.dev", "api_version": 1}


def events(stream: Iterator[Any]) -> Iterator[tuple[str, str]]:
    for reply in stream:
        for event in reply.event:
            kind = (
                event.DESCRIPTOR.fields_by_name["event_type"]
                .enum_type.values_by_number[event.event_type]
                .name
            )
            yield kind, event.resource.metadata.id


def test_a_watch_of_one_resource_begins_with_an_empty_message_and_the_present_state(
    single: Simulation,
) -> None:
    with single.client(single.addresses[0], "os:reader") as client:
        stream = client.stream(WATCH, STATUS)
        assert len(next(stream).event) == 0
        assert next(events(stream)) == ("CREATED", "machine")
        absent = events(client.stream(WATCH, {**SERVICES, "id": "absent"}))
        assert next(absent) == ("DESTROYED", "absent")


def test_a_watch_of_a_kind_lists_its_contents_when_asked_and_then_the_changes(single: Simulation) -> None:
    with single.admin(single.addresses[0]) as client:
        found = events(client.stream(WATCH, {**SERVICES, "options": {"bootstrap_contents": True}}))
        names = set()
        for kind, name in found:
            if kind == "BOOTSTRAPPED":
                break
            names.add(name)
        assert {"apid", "etcd", "kubelet"} <= names
        single.control(op="unhealthy", machine=single.addresses[0], service="cri", message="slow")
        assert next(found) == ("UPDATED", "cri")
        client.call("machine.MachineService/Reboot")
    single.reaches("running", ready=True)


def test_a_list_filters_by_id(single: Simulation) -> None:
    request = {
        "namespace": "runtime",
        "type": SERVICES["type"],
        "options": {"id_query": {"regexp": "^(etcd|cri)$"}},
    }
    with single.client(single.addresses[0], "os:reader") as client:
        found = [reply.resource.metadata.id for reply in client.stream("cosi.resource.State/List", request)]
    assert found == ["cri", "etcd"]


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({**STATUS, "options": {"bootstrap_contents": True}}, "UNIMPLEMENTED"),
        ({**SERVICES, "options": {"start_from_bookmark": "x"}}, "FAILED_PRECONDITION"),
        ({**SERVICES, "type": "Secrets.invented.talos.dev"}, "PERMISSION_DENIED"),
        ({**SERVICES, "namespace": "invented"}, "PERMISSION_DENIED"),
    ],
)
def test_a_watch_that_cosi_refuses_is_refused(
    single: Simulation, request_: dict[str, Any], code: str
) -> None:
    with single.client(single.addresses[0], "os:reader") as client, pytest.raises(grpc.RpcError) as caught:
        next(client.stream(WATCH, request_))
    assert caught.value.code().name == code


def test_events_begin_with_an_empty_one_and_tell_the_boot_in_order(single: Simulation) -> None:
    with single.client(single.addresses[0], "os:reader") as client:
        stream = client.stream("machine.MachineService/Events", {"tail_events": -1})
        first = next(stream)
        assert (first.data.type_url, len(first.id)) == ("", 20)
        stages: list[int] = []
        for event in stream:
            if event.data.type_url == "talos/runtime/machine.MachineStatusEvent":
                status = message_class("machine.MachineStatusEvent").FromString(event.data.value)
                stages.append(status.stage)  # type: ignore[attr-defined]
                if status.stage == 4 and status.status.ready:  # type: ignore[attr-defined]
                    break
        again = client.stream("machine.MachineService/Events", {"tail_id": event.id, "tail_events": -1})
        next(again)
    assert stages[0] == 1
    assert stages[-1] == 4
    assert stages == sorted(stages)


def test_events_of_one_actor_are_only_those_of_its_sequence(single: Simulation) -> None:
    with single.admin(single.addresses[0]) as client:
        stream = client.stream("machine.MachineService/Events", {"with_actor_id": "nobody"}, timeout=0.3)
        assert next(stream).actor_id == "nobody"
        with pytest.raises(grpc.RpcError) as caught:
            next(stream)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
