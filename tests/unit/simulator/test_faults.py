"""Faults on purpose: dark, silent, refusing and forgetful machines, drift."""

from __future__ import annotations

import socket

import grpc
import pytest
from simulator_process import Simulation

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
    request = {"namespace": "runtime", "type": "MetaKeys.runtime.talos.dev", "id": "0x0c"}
    with single.admin(single.addresses[0]) as client:
        assert "kept" in client.call("cosi.resource.State/Get", request)["resource"]["spec"]["yaml_spec"]


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
