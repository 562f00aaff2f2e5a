"""`talos.config.apply`: send a machine its configuration.

The mode is always said (left out it would mean reboot). A reply that is lost after sending means that
it may have been applied: the caller looks, nothing is sent again here. A machine that runs keeps its
install disk when the configuration names none. In a dry run a configured
machine says itself what it would do, and of what it says the secrets are left out; one in maintenance mode
is left alone. Neighbours: `config_diff` reads, `engine.machineconfig.hide` leaves out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from engine.base.values import Opaque
from engine.capabilities.asking import OPAQUE, TEXT, TEXTS, ask, form
from engine.capabilities.config_diff import GET, live_config
from engine.capabilities.contract import Capability, Ports

_METHOD = "machine.MachineService/ApplyConfiguration"
_MODES = {0: "REBOOT", 1: "AUTO", 2: "NO_REBOOT", 3: "STAGED", 4: "TRY"}
_DEADLINE_S = 25.0
_WIDEST = 100


async def apply(ports: Ports, given: Mapping[str, Any]) -> dict[str, Any]:
    """How the machine took it, and its warnings; raises RemoteError."""
    in_maintenance = given["stage"] == "maintenance"
    if in_maintenance and ports.dry_run:
        return _taken("", ["a machine in maintenance mode would be configured"])
    wanted = given["wanted"]
    if not in_maintenance:
        wanted = await _keeping_disk(ports, given)
    replies = await ask(
        ports,
        given["endpoint"],
        None if in_maintenance else given["identity"],
        _METHOD,
        {"data": wanted, "mode": "AUTO", "dry_run": ports.dry_run},
        deadline_s=_DEADLINE_S,
    )
    reply = replies[0].messages[0]
    warnings = list(reply.warnings)
    if ports.dry_run and reply.mode_details:
        warnings.append(await _for_eyes(ports, given, reply.mode_details, wanted.reveal()))
    return _taken(_MODES.get(reply.mode, str(reply.mode)), warnings)


def _taken(mode: str, warnings: list[str]) -> dict[str, Any]:
    return {"mode": mode, "warnings": warnings, "told": "\n".join(warnings)}


async def _for_eyes(ports: Ports, given: Mapping[str, Any], text: str, wanted: str) -> str:
    """What the machine says of a dry run: its summary and the lines that change, without secrets."""
    from engine.machineconfig.hide import hidden

    live = await live_config(ports, given["endpoint"], given["identity"])
    lines = [line for line in text.splitlines() if line and not line.startswith((" ", "@@", "---", "+++"))]
    shown = await asyncio.to_thread(hidden, "\n".join(lines), live, wanted)
    return "\n".join(line[:_WIDEST] for line in shown.splitlines())


async def _keeping_disk(ports: Ports, given: Mapping[str, Any]) -> Opaque:
    from engine.machineconfig.installdisk import keeping_disk, names_disk

    wanted: Opaque = given["wanted"]
    if await asyncio.to_thread(names_disk, wanted.reveal()):
        return wanted
    live = await live_config(ports, given["endpoint"], given["identity"])
    return Opaque(await asyncio.to_thread(keeping_disk, live, wanted.reveal()))


CAPABILITY = Capability(
    name="talos.config.apply",
    summary="Send a machine its configuration.",
    effect="disruptive",
    dry_runs=True,
    deadline_s=30.0,
    input=form({"endpoint": TEXT, "stage": TEXT, "identity": OPAQUE, "wanted": OPAQUE}),
    output=form({"mode": TEXT, "warnings": TEXTS, "told": TEXT}),
    start=apply,
    talos_methods=(_METHOD, GET),
)
