"""Faults on purpose: dark, silent, refusing, slow, forged and forgetful machines, restless services, drift."""

from __future__ import annotations

import errno
import socket
import ssl
import time
from typing import Any

import grpc
import pytest
from simulator_process import Simulation, until

META = "machine.MachineService/MetaWrite"
VERSION = "machine.MachineService/Version"
CONFIG = {"namespace": "config", "type": "MachineConfigs.config.talos.dev", "id": "v1alpha1"}


def test_a_silent_machine_accepts_and_never_speaks_until_it_is_healed(single: Simulation) -> None:
    address = single.addresses[0]
    with single.admin(address) as client:
        client.call(VERSION)
        single.control(op="silence", machine=address)
        with socket.create_connection((address, 50000), timeout=2) as end:
            end.settimeout(0.3)
            end.sendall(b"hello")
            with pytest.raises(TimeoutError):
                end.recv(1)
        with pytest.raises(grpc.RpcError) as caught:
            next(client.stream("machine.MachineService/Dmesg", timeout=0.3))
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    single.control(op="heal", machine=address)
    single.reaches("running", ready=True)
    with single.admin(address) as client:
        client.call(VERSION)


def test_an_unplugged_machine_answers_no_packet_until_it_is_healed(single: Simulation) -> None:
    address = single.addresses[0]
    with socket.create_connection((address, 50000), timeout=2) as there:
        there.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 500)
        single.control(op="unplug", machine=address)
        with socket.socket() as fresh:
            fresh.settimeout(0.3)
            with pytest.raises(TimeoutError):
                fresh.connect((address, 50000))
        there.settimeout(5)
        there.sendall(b"hello")
        with pytest.raises(TimeoutError) as caught:
            there.recv(1)
        assert caught.value.errno == errno.ETIMEDOUT
    assert single.machine(address)["stage"] == "running"
    single.control(op="heal", machine=address)
    with single.admin(address) as client:
        client.call(VERSION)


def test_a_refusing_machine_runs_on_behind_a_closed_port(single: Simulation) -> None:
    address = single.addresses[0]
    single.control(op="refuse", machine=address)
    with pytest.raises(ConnectionRefusedError):
        single.admin(address)
    assert single.machine(address)["ready"] is True
    single.control(op="heal", machine=address)
    with single.admin(address) as client:
        client.call(VERSION)


def test_an_ordered_failure_meets_as_many_calls_as_ordered(single: Simulation) -> None:
    single.control(op="fail", method=VERSION, code="INTERNAL", count=2)
    with single.admin(single.addresses[0]) as client:
        for _ in range(2):
            with pytest.raises(grpc.RpcError) as caught:
                client.call(VERSION)
            assert caught.value.code() is grpc.StatusCode.INTERNAL
        client.call(VERSION)


def test_a_lost_reply_is_a_call_that_was_carried_out(single: Simulation) -> None:
    method = "machine.MachineService/MetaWrite"
    single.control(op="fail", method=method, lose_reply=True)
    with single.admin(single.addresses[0]) as client, pytest.raises(grpc.RpcError) as caught:
        client.call(method, {"key": 12, "value": "kept"})
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert not client.reset
    request = {"namespace": "runtime", "type": "MetaKeys.runtime.talos.dev", "id": "0x0c"}
    with single.admin(single.addresses[0]) as client:
        assert "kept" in client.call("cosi.resource.State/Get", request)["resource"]["spec"]["yaml_spec"]


def test_a_reset_connection_is_a_call_that_was_carried_out(single: Simulation) -> None:
    single.control(op="reset", method=META)
    with single.admin(single.addresses[0]) as client, pytest.raises(grpc.RpcError):
        client.call(META, {"key": 13, "value": "kept"})
    assert client.reset
    request = {"namespace": "runtime", "type": "MetaKeys.runtime.talos.dev", "id": "0x0d"}
    with single.admin(single.addresses[0]) as client:
        assert "kept" in client.call("cosi.resource.State/Get", request)["resource"]["spec"]["yaml_spec"]


def test_the_log_tells_a_lost_reply_from_a_call_that_was_cut_off(single: Simulation) -> None:
    single.control(op="lose-reply", method=META)
    with single.admin(single.addresses[0]) as client, pytest.raises(grpc.RpcError):
        client.call(META, {"key": 14, "value": "x"})
    with single.admin(single.addresses[0]) as client:
        events = client.stream("machine.MachineService/Events")
        next(events)
    until(lambda: single.calls()[-1]["method"].endswith("Events"), "the log line")
    lost, cut = [line for line in single.calls() if line["code"] != "NOT_FOUND"][-2:]
    assert (lost["method"], lost["code"], lost["reply"]) == (META, "OK", "lost")
    assert cut["code"] == "CANCELLED"
    assert "reply" not in cut


def test_a_slow_machine_answers_late_until_that_is_forgotten(single: Simulation) -> None:
    address = single.addresses[0]
    assert single.control(op="slow", machine=address, method=VERSION, seconds=0.8)["ok"]
    with single.admin(address) as client:
        began = time.monotonic()
        client.call(VERSION)
        assert time.monotonic() - began >= 0.8
        began = time.monotonic()
        client.call("machine.MachineService/Hostname")
        single.control(op="clear-faults")
        client.call(VERSION)
        assert time.monotonic() - began < 0.8


def test_a_stream_of_a_slow_machine_begins_late(single: Simulation) -> None:
    single.control(op="slow", seconds=0.4, count=1)
    with single.admin(single.addresses[0]) as client:
        began = time.monotonic()
        next(client.stream("machine.MachineService/Events"))
        assert time.monotonic() - began >= 0.4


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("foreign", "unable to get local issuer certificate"),
        ("expired", "certificate has expired"),
        ("wrong-name", "IP address mismatch"),
    ],
)
def test_a_machine_shows_a_certificate_that_is_wrong_in_one_way_until_it_is_healed(
    single: Simulation, kind: str, said: str
) -> None:
    address = single.addresses[0]
    with single.admin(address) as client:
        client.call(VERSION)
        assert single.control(op="wrong-certificate", machine=address, kind=kind)["ok"]
        with pytest.raises(grpc.RpcError):
            client.call(VERSION)
    with pytest.raises(ssl.SSLCertVerificationError, match=said):
        single.admin(address)
    assert single.machine(address)["fault"] == "wrong-certificate"
    single.control(op="heal", machine=address)
    with single.admin(address) as client:
        client.call(VERSION)


def test_a_wrong_certificate_outlasts_a_reboot(single: Simulation) -> None:
    address = single.addresses[0]
    single.control(op="wrong-certificate", machine=address, kind="foreign")
    single.control(op="power-off", machine=address)
    single.control(op="power-on", machine=address)
    single.reaches("running", ready=True)
    with pytest.raises(ssl.SSLCertVerificationError):
        single.admin(address)
    single.control(op="heal", machine=address)
    with single.admin(address) as client:
        client.call(VERSION)


def test_a_flapping_service_fails_and_recovers_until_it_is_healed(single: Simulation) -> None:
    address = single.addresses[0]
    assert single.control(op="flap", machine=address, service="kubelet", period=0.2)["ok"]
    with single.admin(address) as client:
        for _ in range(2):
            until(lambda: service(client, "kubelet")["state"] == "Failed", "the kubelet down")
            assert single.machine(address)["ready"] is False
            until(lambda: service(client, "kubelet")["health"].get("healthy"), "the kubelet up")
    until(lambda: not single.machine(address)["ready"], "the kubelet down")
    single.control(op="heal", machine=address)
    single.reaches("running", ready=True)


def test_an_etcd_that_flaps_takes_the_quorum_of_a_single_member_with_it(single: Simulation) -> None:
    address = single.addresses[0]
    single.control(op="flap", machine=address, service="etcd", period=0.3)
    with single.admin(address) as client:

        def said() -> str:
            try:
                client.call("machine.MachineService/EtcdMemberList")
            except grpc.RpcError as error:
                return str(error.details())
            return ""

        until(lambda: "etcd client" in said(), "no etcd")
        until(lambda: not said(), "etcd again")
    single.control(op="heal", machine=address)
    single.reaches("running", ready=True)


def service(client: Any, name: str) -> dict[str, Any]:
    listed = client.call("machine.MachineService/ServiceList")["messages"][0]["services"]
    return next(entry for entry in listed if entry["id"] == name)  # type: ignore[no-any-return]


def test_drift_changes_the_configuration_behind_everybodys_back(single: Simulation) -> None:
    single.control(
        op="drift", machine=single.addresses[0], merge={"machine": {"sysctls": {"kernel.panic": "1"}}}
    )
    with single.admin(single.addresses[0]) as client:
        assert b"kernel.panic" in client.message("cosi.resource.State/Get", CONFIG).resource.spec.proto_spec


def test_garbage_and_half_a_handshake_disturb_nobody_else(single: Simulation) -> None:
    address = single.addresses[0]
    with socket.create_connection((address, 50000), timeout=5) as half, single.admin(address) as client:
        half.sendall(b"\x16\x03\x01")
        with socket.create_connection((address, 50000), timeout=5) as garbage:
            garbage.sendall(b"GET / HTTP/1.1\r\n\r\n")
            while garbage.recv(100):
                pass
        client.call(VERSION)


def test_a_message_beyond_32_mib_is_refused_and_one_below_is_read(single: Simulation) -> None:
    method = "machine.MachineService/ApplyConfiguration"
    with single.admin(single.addresses[0]) as client:
        for size, code in ((20 << 20, "INVALID_ARGUMENT"), (33 << 20, "RESOURCE_EXHAUSTED")):
            with pytest.raises(grpc.RpcError) as caught:
                client.call(method, {"data": "#" * size, "mode": "AUTO"})
            assert caught.value.code().name == code


def test_a_wrong_order_is_answered_with_what_is_wrong(single: Simulation) -> None:
    assert single.control(op="explode", machine=single.addresses[0])["ok"] is False
    assert "127.0.0.9" in single.control(op="power-off", machine="127.0.0.9")["error"]
    assert single.control(op="fail")["ok"] is False
    assert "foreign, expired" in single.control(op="wrong-certificate", machine="*", kind="odd")["error"]
    assert "no service" in single.control(op="flap", machine="*", service="x", period=1)["error"]
    assert "more than 0" in single.control(op="flap", machine="*", service="cri", period=0)["error"]
    assert "more than 0" in single.control(op="slow", seconds=-1)["error"]
