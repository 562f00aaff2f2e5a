"""The Talos API as data: what is compiled, what comes in and goes out, what a method does."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from engine import protocol
from engine.base.assets import asset
from engine.base.values import Opaque
from engine.protocol.compile import compiled

APPLY = "machine.MachineService/ApplyConfiguration"


def message(name: str, **fields: Any) -> Any:
    return protocol.message_class(name)(**fields)


def test_the_committed_descriptors_are_those_of_the_proto_files():
    folder = asset("schemas", "talos")
    assert (folder / "descriptors.binpb").read_bytes() == compiled(folder)


def test_importing_the_protocol_brings_no_grpc():
    code = "import sys, engine.protocol as p; p.methods(); p.cosi_types(); sys.exit('grpc' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# Numbers as the public API has them; a wrong one would be read as another field by a real machine.
@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("machine.ApplyConfigurationRequest", {"data": 1, "mode": 4, "dry_run": 5, "try_mode_timeout": 6}),
        ("machine.EtcdMember", {"id": 2, "hostname": 3, "peer_urls": 4, "client_urls": 5, "is_learner": 6}),
        (
            "machine.EtcdMemberStatus",
            {"leader": 4, "raft_term": 6, "errors": 8, "member_id": 10, "storage_version": 11},
        ),
        ("machine.ResetRequest", {"graceful": 1, "reboot": 2, "system_partitions_to_wipe": 3, "mode": 5}),
        ("machine.MemInfo", {"memtotal": 1, "swaptotal": 15, "directmap1g": 48}),
        ("machine.ImageServicePullRequest", {"containerd": 1, "image_ref": 3}),
        ("storage.Disk", {"size": 1, "device_name": 3, "type": 9, "system_disk": 11, "readonly": 13}),
        ("cosi.resource.WatchRequest", {"namespace": 1, "type": 2, "id": 3, "options": 4, "api_version": 5}),
        ("cosi.resource.Metadata", {"version": 4, "finalizers": 9, "labels": 10, "annotations": 11}),
        ("resource.config.MachineConfigSpec", {"yaml_marshalled": 1}),
    ],
)
def test_fields_have_the_numbers_of_the_public_api(name, numbers):
    fields = protocol.message_class(name).DESCRIPTOR.fields_by_name
    assert {field: fields[field].number for field in numbers} == numbers


def test_every_method_says_what_calling_it_does():
    methods = protocol.methods()
    assert methods["machine.MachineService/Version"].effect == "read"
    assert methods[APPLY].effect == "disruptive"
    assert methods["machine.MachineService/Bootstrap"].effect == "irreversible"
    assert methods["machine.MachineService/Reset"].effect == "irreversible"
    assert "LifecycleService" in methods["machine.MachineService/Upgrade"].deprecated
    assert methods["machine.MachineService/EtcdSnapshot"].server_streaming


def test_every_resource_type_has_a_spec_that_can_be_read():
    for kind in protocol.cosi_types().values():
        assert protocol.schema_of(protocol.message_class(kind.message).DESCRIPTOR)["properties"]
    assert protocol.cosi_types()["MachineConfigs.config.talos.dev"].sensitive


def test_a_request_takes_enums_by_name_and_secrets_as_bytes():
    method = protocol.methods()[APPLY]
    built: Any = protocol.to_message(
        method, {"data": Opaque("a: 1"), "mode": "AUTO", "try_mode_timeout": "90s"}
    )
    assert (built.data, built.mode, built.try_mode_timeout.seconds) == (b"a: 1", 1, 90)


@pytest.mark.parametrize(
    ("value", "path", "hint"),
    [
        ({"dat": "x"}, "ApplyConfigurationRequest", "did you mean `data`?"),
        ({"mode": "NOREBOOT"}, "ApplyConfigurationRequest.mode", "did you mean `NO_REBOOT`?"),
        ({"dry_run": "yes"}, "ApplyConfigurationRequest.dry_run", ""),
        ({"try_mode_timeout": "1m"}, "ApplyConfigurationRequest.try_mode_timeout", "a duration is"),
    ],
)
def test_a_value_that_does_not_fit_is_an_error_that_names_the_field(value, path, hint):
    with pytest.raises(protocol.MessageError) as caught:
        protocol.to_message(protocol.methods()[APPLY], value)
    assert caught.value.path == path
    assert hint in caught.value.hint


def test_an_error_about_a_secret_does_not_repeat_it():
    with pytest.raises(protocol.MessageError) as caught:
        protocol.to_message(protocol.methods()[APPLY], {"mode": Opaque("hunter2")})
    assert "hunter2" not in str(caught.value)


def test_a_number_out_of_range_is_an_error():
    with pytest.raises(protocol.MessageError, match="out of range"):
        protocol.to_message(protocol.methods()["machine.MachineService/MetaWrite"], {"key": -1})


def test_a_reply_keeps_64_bit_numbers_and_fields_that_are_false():
    member = message("machine.EtcdMember", id=2**64 - 1, hostname="cp")
    assert protocol.to_value(member) == {
        "id": 2**64 - 1,
        "hostname": "cp",
        "peer_urls": [],
        "client_urls": [],
        "is_learner": False,
    }


def test_only_the_fields_that_are_read_are_converted():
    reply = message("machine.VersionResponse")
    reply.messages.add().version.tag = "v1.13.0"
    assert protocol.to_value(reply, {"messages": {"version": {"tag": None}}}) == {
        "messages": [{"version": {"tag": "v1.13.0"}}]
    }


def test_what_is_not_set_is_none_and_an_unknown_enum_value_is_its_number():
    service = message("machine.ServiceInfo", id="etcd")
    assert protocol.to_value(service, {"health": None})["health"] is None
    status = protocol.message_class("talos.resource.definitions.runtime.MachineStatusSpec").FromString(
        b"\x08\x63"
    )
    assert protocol.to_value(status, {"stage": None}) == {"stage": "99"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("google.protobuf.Timestamp", "2026-01-02T03:04:05Z"),
        ("google.protobuf.Timestamp", "2026-01-02T03:04:05.25Z"),
        ("google.protobuf.Duration", "1.5s"),
        ("google.protobuf.Duration", "-2s"),
        ("common.NetIP", "10.0.0.1"),
        ("common.NetIP", "fd00::1"),
        ("common.NetIPPrefix", "10.0.0.1/24"),
    ],
)
def test_times_durations_and_addresses_are_read_as_they_are_written(name, text):
    descriptor = protocol.message_class(name).DESCRIPTOR
    assert protocol.to_value(protocol.to_message(descriptor, text)) == text


def test_any_json_in_a_struct_survives():
    descriptor = protocol.message_class("google.protobuf.Struct").DESCRIPTOR
    value = {"phase": "Running", "ready": True, "restarts": 3, "ips": [{"ip": None}], "load": 0.5}
    assert protocol.to_value(protocol.to_message(descriptor, value)) == value


def test_the_schema_of_a_reply_describes_what_is_given():
    jsonschema = pytest.importorskip("jsonschema")
    reply = message("machine.ServiceListResponse")
    reply.messages.add().services.add(id="etcd", state="Running").events.events.add(msg="up").ts.seconds = 5
    schema = _nullable_as_union(protocol.schema_of(reply.DESCRIPTOR))
    jsonschema.validate(protocol.to_value(reply), schema)


def test_a_reply_has_all_its_fields_and_a_request_needs_none():
    reset = protocol.methods()["machine.MachineService/Reset"].input
    assert "required" not in protocol.schema_of(reset, request=True)
    assert set(protocol.schema_of(reset)["required"]) == {field.name for field in reset.fields}


def _nullable_as_union(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return schema
    inner = {key: _nullable_as_union(value) for key, value in schema.items() if key != "nullable"}
    return {"anyOf": [inner, {"type": "null"}]} if schema.get("nullable") is True else inner
