"""Accepting a configuration: modes, dry run, what needs a reboot (talos-api 4.10).

Decides from the texts alone and then acts on the machine. The validation is the engine's own model
of Talos, so the simulator refuses what Talos would refuse. Neighbours: `api.configuration` calls
`apply`, `life` installs, reboots and renews certificates.
"""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Mapping
from typing import Any, Final

import grpc

from engine.machineconfig.config import load
from engine.machineconfig.errors import ConfigError
from engine.machineconfig.model import V1ALPHA1
from engine.machineconfig.validate import validate
from engine.simulator.configuration import NodeConfig, read_config
from engine.simulator.life import renew_certificate
from engine.simulator.machine import Machine, Order
from engine.simulator.refusal import Refusal, invalid, precondition, unknown

DEFAULT_TRY_S: Final = 60.0
# Parts of `machine` that Talos up to 1.13 changes without a reboot; all of `cluster` and every other document too.
_HOT: Final = frozenset(
    [
        "ca",
        "acceptedCAs",
        "time",
        "certSANs",
        "install",
        "network",
        "sysfs",
        "sysctls",
        "logging",
        "controlPlane",
        "kubelet",
        "kernel",
        "registries",
        "pods",
        "seccompProfiles",
        "nodeAnnotations",
        "nodeLabels",
        "nodeTaints",
    ]
)
_HOT_FEATURES: Final = frozenset(
    ["kubernetesTalosAPIAccess", "kubePrism", "hostDNS", "imageCache", "nodeAddressSortAlgorithm"]
)
_TEXTS: Final = {
    "NO_REBOOT": "Applied configuration without a reboot",
    "STAGED": "Staged configuration to be applied after the next reboot",
    "REBOOT": "Applied configuration with a reboot",
    "TRY": "Applied configuration without a reboot in try mode",
}


def apply(machine: Machine, text: str, mode: str, *, dry_run: bool, try_s: float) -> Mapping[str, Any]:
    """Apply `text` in `mode` (a name of the enum) and give the reply's fields. Raises Refusal."""
    if machine.maintenance:
        return _apply_in_maintenance(machine, text, mode, dry_run=dry_run)
    warnings = _check(machine, text)
    if machine.busy:
        raise precondition("configuration was already applied and node is rebooting, please wait")
    assert machine.config is not None
    new = read_config(text)
    mode = _effective(machine, new, mode)
    if mode != "TRY":
        machine.keep_tried()
    if dry_run:
        return {"mode": mode, "mode_details": _summary(mode, machine.config.text, text)}
    _act(machine, text, mode, try_s)
    return {"warnings": warnings, "mode": mode, "mode_details": _TEXTS[mode]}


def needs_reboot(old: NodeConfig, new: NodeConfig) -> bool:
    """Whether Talos up to 1.13 can make this change only by a reboot."""
    return _cold(old) != _cold(new)


def _apply_in_maintenance(machine: Machine, text: str, mode: str, *, dry_run: bool) -> Mapping[str, Any]:
    old = machine.minor < (1, 13)
    if old and mode in ("NO_REBOOT", "STAGED"):
        message = f"apply configuration --mode='{mode.lower().replace('_', '-')}' is not supported in maintenance mode"
        raise Refusal(grpc.StatusCode.UNIMPLEMENTED, message)
    try:
        warnings = _check(machine, text)
    except Refusal as refusal:
        raise unknown(refusal.message) if old else refusal from None
    if machine.busy:
        raise precondition("another apply configuration is already in progress")
    if dry_run:
        return {} if old else {"mode": "NO_REBOOT", "mode_details": _summary("NO_REBOOT", "", text)}
    machine.busy = "install"
    machine.write(config=text)
    machine.orders.put_nowait(Order("install" if machine.disk.installed is None else "reboot"))
    machine.enter("installing" if machine.disk.installed is None else "rebooting")
    reply: dict[str, Any] = {"warnings": warnings}
    return reply if old else {**reply, "mode": "NO_REBOOT", "mode_details": _TEXTS["NO_REBOOT"]}


def _check(machine: Machine, text: str) -> list[str]:
    """Refuse what Talos refuses; the warnings otherwise."""
    try:
        config = load(text)
    except ConfigError as error:
        raise invalid(str(error)) from error
    if config.find(V1ALPHA1) is None:
        raise invalid("the applied machine configuration doesn't contain v1alpha1 config")
    verdict = validate(config, mode="metal", version=machine.version)
    if verdict.errors:
        count = len(verdict.errors)
        listed = "".join(f"\t* {problem}\n" for problem in verdict.errors)
        occurred = "1 error" if count == 1 else f"{count} errors"
        raise invalid(f"configuration validation failed: {occurred} occurred:\n{listed}\n")
    return [str(problem) for problem in verdict.warnings]


def _effective(machine: Machine, new: NodeConfig, mode: str) -> str:
    assert machine.config is not None
    if machine.minor >= (1, 14):
        if mode == "REBOOT":
            raise Refusal(
                grpc.StatusCode.UNIMPLEMENTED, "REBOOT mode is not supported, use AUTO and reboot the node"
            )
        return "NO_REBOOT" if mode == "AUTO" else mode
    cold = needs_reboot(machine.config, new)
    if mode == "AUTO":
        return "REBOOT" if cold else "NO_REBOOT"
    if cold and mode in ("NO_REBOOT", "TRY"):
        difference = _difference(machine.config.text, new.text)
        raise invalid(f"this config change can't be applied in immediate mode\ndiff: {difference}")
    return mode


def _act(machine: Machine, text: str, mode: str, try_s: float) -> None:
    if mode == "STAGED":
        machine.write(config=text)
        return
    if mode == "REBOOT":
        machine.write(config=text)
        machine.busy = "reboot"
        machine.orders.put_nowait(Order("reboot"))
        return
    if mode == "TRY":
        machine.try_config(
            asyncio.get_running_loop(), text, (try_s or DEFAULT_TRY_S) / machine.site.pace.speed
        )
    else:
        machine.write(config=text)
        machine.activate(text)
    renew_certificate(machine)


def _cold(config: NodeConfig) -> Mapping[str, Any]:
    main = next((document for document in config.documents if "kind" not in document), {})
    machine = dict(main.get("machine") or {})
    features = machine.pop("features", None) or {}
    return {
        **{key: value for key, value in machine.items() if key not in _HOT},
        "features": {key: value for key, value in features.items() if key not in _HOT_FEATURES},
        "persist": main.get("persist"),
    }


def _summary(mode: str, old: str, new: str) -> str:
    difference = _difference(old, new)
    shown = f"Config diff:\n\n{difference}" if difference else "No changes."
    return f"Dry run summary:\n{_TEXTS[mode]} (skipped in dry-run).\n{shown}"


def _difference(old: str, new: str) -> str:
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), "a", "b", lineterm="")
    return "\n".join(lines)
