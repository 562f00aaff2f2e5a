"""Killing a caller at one of its calls: before it is carried out, before its reply, after its reply."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator

import grpc
import pytest
import yaml
from simulator_process import Simulation

META = "machine.MachineService/MetaWrite"
APPLY = "machine.MachineService/ApplyConfiguration"
MOMENTS = ("before", "after", "replied")


@pytest.fixture
def victim() -> Iterator[subprocess.Popen[bytes]]:
    """A process that does nothing until it is killed."""
    process = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    yield process
    process.kill()
    process.wait(10)


def write(simulation: Simulation, key: int, value: str) -> str:
    """Write a META value: the code of the answer."""
    with simulation.admin(simulation.addresses[0]) as client:
        try:
            client.call(META, {"key": key, "value": value})
        except grpc.RpcError as error:
            return str(error.code().name)
    return "OK"


def meta(simulation: Simulation, key: int) -> str:
    request = {"namespace": "runtime", "type": "MetaKeys.runtime.talos.dev", "id": f"{key:#04x}"}
    with simulation.admin(simulation.addresses[0]) as client:
        return str(client.call("cosi.resource.State/Get", request)["resource"]["spec"]["yaml_spec"])


@pytest.mark.parametrize("moment", MOMENTS)
def test_the_caller_is_killed_at_the_ordered_call_and_moment(
    single: Simulation, victim: subprocess.Popen[bytes], moment: str
) -> None:
    key = 60 + MOMENTS.index(moment)
    assert single.control(op="kill", pid=victim.pid, call=2, moment=moment)["ok"]
    assert write(single, key, "first") == "OK"
    assert victim.poll() is None
    with single.admin(single.addresses[0]) as client:
        client.call("machine.MachineService/Version")
    code = write(single, key, "second")
    assert victim.wait(10) == -signal.SIGKILL
    assert code == ("OK" if moment == "replied" else "UNAVAILABLE")
    assert ("first" if moment == "before" else "second") in meta(single, key)
    assert write(single, key, "third") == "OK"


def test_a_reply_before_a_kill_has_always_left_whole(single: Simulation) -> None:
    for _ in range(60):
        victim = subprocess.Popen(["/bin/sleep", "60"])
        single.control(op="kill", pid=victim.pid, call=1, moment="replied")
        assert write(single, 63, "x") == "OK"
        assert victim.wait(10) == -signal.SIGKILL


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_stream_that_installs_is_such_a_call_too(
    single: Simulation, victim: subprocess.Popen[bytes], moment: str
) -> None:
    address = single.addresses[0]
    single.control(op="kill", pid=victim.pid, call=1, moment=moment)
    request = {"containerd": {"namespace": "NS_SYSTEM"}, "image_ref": f"ghcr.io/x/killed:{moment}"}
    last = None
    with single.admin(address) as client:
        try:
            for message in client.stream("machine.ImageService/Pull", request):
                last = message.WhichOneof("response")
            code = "OK"
        except grpc.RpcError as error:
            code = error.code().name
        assert victim.wait(10) == -signal.SIGKILL
    assert (code, last) == {
        "before": ("UNAVAILABLE", None),
        "after": ("UNAVAILABLE", "pull_progress"),
        "replied": ("OK", "name"),
    }[moment]
    with single.admin(address) as client:
        images = [item.name for item in client.stream("machine.ImageService/List", {})]
    assert (f"ghcr.io/x/killed:{moment}" in images) is (moment != "before")


def test_the_mutating_calls_are_listed_in_order_with_their_outcome(
    single: Simulation, victim: subprocess.Popen[bytes]
) -> None:
    address = single.addresses[0]
    single.control(op="kill", pid=victim.pid, call=3, moment="before")
    write(single, 64, "x")
    with single.admin(address) as client:
        client.call("machine.MachineService/Version")
        client.call(APPLY, {"data": single_config(single), "mode": "AUTO", "dry_run": True})
        with pytest.raises(grpc.RpcError):
            client.call("machine.MachineService/MetaDelete", {"key": 200})
    assert single.control(op="mutations")["pending"] is True
    write(single, 64, "y")
    listed = single.control(op="mutations")
    assert listed["pending"] is False
    shown = [
        (one["number"], one["machine"], one["method"].rpartition("/")[2], one["code"], one["killed"])
        for one in listed["mutations"]
    ]
    assert shown == [
        (1, address, "MetaWrite", "OK", None),
        (2, address, "MetaDelete", "NOT_FOUND", None),
        (3, address, "MetaWrite", None, "before"),
    ]
    times = [one["time"] for one in listed["mutations"]]
    assert times == sorted(times)
    single.control(op="count")
    assert single.control(op="mutations")["mutations"] == []


def test_a_kill_order_that_makes_no_sense_is_refused_with_the_reason(
    single: Simulation, victim: subprocess.Popen[bytes]
) -> None:
    assert single.process is not None
    for wrong, said in (
        ({"pid": single.process.pid, "call": 1, "moment": "after"}, "another process"),
        ({"pid": 1, "call": 1, "moment": "after"}, "another process"),
        ({"pid": 2**22 + 5, "call": 1, "moment": "after"}, "No such process"),
        ({"pid": victim.pid, "call": 0, "moment": "after"}, "counted from 1"),
        ({"pid": victim.pid, "call": 1, "moment": "during"}, "before, after, replied"),
    ):
        reply = single.control(op="kill", **wrong)
        assert reply["ok"] is False
        assert said in reply["error"]
    assert victim.poll() is None


def single_config(simulation: Simulation) -> str:
    """The configuration that the machine runs."""
    request = {"namespace": "config", "type": "MachineConfigs.config.talos.dev", "id": "v1alpha1"}
    with simulation.admin(simulation.addresses[0]) as client:
        spec = client.message("cosi.resource.State/Get", request).resource.spec.yaml_spec
    return str(yaml.safe_load(spec))
