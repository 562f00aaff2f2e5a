"""ApplyConfiguration on a configured machine: what takes effect when, and what is refused."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from simulator_process import Simulation, config, until

APPLY = "machine.MachineService/ApplyConfiguration"


def apply(simulation: Simulation, text: str, mode: str, **more: Any) -> dict[str, Any]:
    with simulation.admin(simulation.addresses[0]) as client:
        reply = client.call(APPLY, {"data": text, "mode": mode, **more})
    return reply["messages"][0]  # type: ignore[no-any-return]


def seen(simulation: Simulation, name: str = "v1alpha1") -> str:
    request = {"namespace": "config", "type": "MachineConfigs.config.talos.dev", "id": name}
    with simulation.admin(simulation.addresses[0]) as client:
        content: bytes = client.message("cosi.resource.State/Get", request).resource.spec.proto_spec
    return content.decode(errors="replace")


def test_a_change_that_needs_no_reboot_is_active_at_once_byte_for_byte(single: Simulation) -> None:
    boot = single.machine(single.addresses[0])["boot_id"]
    text = config("controlplane", sysctls={"net.ipv4.ip_forward": "1"})
    reply = apply(single, text, "AUTO")
    assert (reply["mode"], reply["mode_details"]) == ("NO_REBOOT", "Applied configuration without a reboot")
    assert text in seen(single)
    assert single.machine(single.addresses[0])["boot_id"] == boot


def test_a_change_that_needs_a_reboot_is_refused_without_one_and_reboots_by_itself(
    single: Simulation,
) -> None:
    boot = single.machine(single.addresses[0])["boot_id"]
    text = config("controlplane", udev={"rules": ['SUBSYSTEM=="drm"']})
    with pytest.raises(grpc.RpcError) as caught:
        apply(single, text, "NO_REBOOT")
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "can't be applied in immediate mode" in caught.value.details()
    assert apply(single, text, "AUTO")["mode"] == "REBOOT"
    until(lambda: single.machine(single.addresses[0])["boot_id"] not in ("", boot), "the reboot")
    single.reaches("running", ready=True)
    assert text in seen(single)


def test_a_staged_configuration_waits_for_the_next_boot(single: Simulation) -> None:
    text = config("controlplane", sysctls={"kernel.panic": "7"})
    apply(single, text, "STAGED")
    assert "kernel.panic" not in seen(single)
    assert "kernel.panic" in seen(single, "persistent")
    single.kill()
    single.start()
    single.reaches("running", ready=True)
    assert "kernel.panic" in seen(single)


# Three seconds here, where a machine's life is 40 times as fast: long enough to look before they are over.
def test_a_tried_configuration_goes_away_by_itself(single: Simulation) -> None:
    before = seen(single)
    apply(single, config("controlplane", sysctls={"vm.swappiness": "1"}), "TRY", try_mode_timeout="120s")
    assert "vm.swappiness" in seen(single)
    until(lambda: seen(single) == before, "the old configuration")


def test_any_later_apply_keeps_what_was_tried_even_a_dry_run(single: Simulation) -> None:
    apply(single, config("controlplane", sysctls={"vm.swappiness": "2"}), "TRY", try_mode_timeout="120s")
    reply = apply(single, config("controlplane"), "AUTO", dry_run=True)
    assert "+" in reply["mode_details"]
    with pytest.raises(AssertionError):
        until(lambda: "vm.swappiness" not in seen(single), "what must not happen", seconds=3.5)
    apply(single, config("controlplane"), "NO_REBOOT")


def test_a_broken_configuration_leaves_the_machine_as_it_is(single: Simulation) -> None:
    before = seen(single)
    for text in (
        "machine: {}\n",
        "- 1\n",
        config("controlplane").replace("type: controlplane", "type: other"),
    ):
        with pytest.raises(grpc.RpcError) as caught:
            apply(single, text, "AUTO")
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert seen(single) == before


def test_meta_values_survive_and_show_as_resources(single: Simulation) -> None:
    request = {"namespace": "runtime", "type": "MetaKeys.runtime.talos.dev", "id": "0x0a"}
    with single.admin(single.addresses[0]) as client:
        client.call("machine.MachineService/MetaWrite", {"key": 10, "value": "hostname: a"})
        with pytest.raises(grpc.RpcError) as caught:
            client.call("machine.MachineService/MetaWrite", {"key": 256, "value": ""})
        assert caught.value.details() == "key must be a uint8"
    single.kill()
    single.start()
    single.reaches("running")
    with single.admin(single.addresses[0]) as client:
        found = client.call("cosi.resource.State/Get", request)
        client.call("machine.MachineService/MetaDelete", {"key": 10})
    assert found["resource"]["spec"]["yaml_spec"] == "value: 'hostname: a'\n"
