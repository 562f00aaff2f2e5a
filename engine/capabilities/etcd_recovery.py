"""How a control plane stands before a recovery of etcd, and the two calls that recover it.

Not an ability itself. Nothing may be recovered while a member of the old etcd runs or may run: with one that does
not answer, it is asked whether those that are silent could be a majority. Source of the calls and their words:
siderolabs/talos (EtcdRecover, Bootstrap, etcd.go). Neighbours: `etcd_recoverable`, `etcd_upload`, `etcd_recover`
and the command line.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from engine import protocol
from engine.base.errors import CapabilityError, RemoteError
from engine.base.values import Opaque
from engine.capabilities.asking import ask
from engine.capabilities.contract import Ports

SERVICES: Final = "machine.MachineService/ServiceList"
STATUS: Final = "machine.MachineService/EtcdStatus"
UPLOAD: Final = "machine.MachineService/EtcdRecover"
BOOTSTRAP: Final = "machine.MachineService/Bootstrap"

PIECE: Final = 65536
SLOWEST_BYTES_S: Final = 250_000
_READ: Final = 1 << 20
_WAITS, _RUNS, _FAILED = "Preparing", "Running", "Failed"


@dataclass(frozen=True, slots=True)
class Standing:
    """What each machine says of its etcd.

    `waiting`: with an empty data directory, and since when by its own clock; `living`: in a cluster with a leader;
    `left`: a member that runs without one; `other`: any other state, with its last word; `silent`: no answer.
    """

    waiting: Mapping[str, str]
    living: tuple[str, ...]
    left: tuple[str, ...]
    other: Mapping[str, str]
    silent: Mapping[str, RemoteError]

    @property
    def size(self) -> int:
        return len(self.waiting) + len(self.living) + len(self.left) + len(self.other) + len(self.silent)


async def standing(ports: Ports, nodes: Sequence[str], bundle: Opaque) -> Standing:
    """Ask all of these machines at once; never raises for one that does not answer."""
    endpoints = tuple(dict.fromkeys(nodes))
    found = await asyncio.gather(*(_of(ports, address, bundle) for address in endpoints))
    by_kind: dict[str, dict[str, Any]] = {"waiting": {}, "living": {}, "left": {}, "other": {}, "silent": {}}
    for address, (kind, word) in zip(endpoints, found, strict=True):
        by_kind[kind][address] = word
    return Standing(
        waiting=by_kind["waiting"],
        living=tuple(by_kind["living"]),
        left=tuple(by_kind["left"]),
        other=by_kind["other"],
        silent=by_kind["silent"],
    )


def obstacle(found: Standing, machine: str | None = None, *, members: int = 0) -> str:
    """Why nothing may be recovered now, and what to do about it; "" when it may, on `machine` or the first that waits.

    `members`: how many the etcd had that is to come back. Raises RemoteError when the silent ones could be a
    majority of it: then nobody can tell.
    """
    if found.living:
        return (
            f"a quorum of etcd lives ({', '.join(found.living)}); a restore would make a second cluster beside it. "
            "Nothing has to be restored; to go back in time all the same, reset every control plane machine first"
        )
    if found.left:
        return (
            f"{', '.join(found.left)} still runs a member of the etcd that lost its quorum; "
            "reset its EPHEMERAL partition first, the snapshot takes the place of what it has"
        )
    _see_enough(found, members)
    if machine is not None and machine not in found.waiting:
        if machine in found.silent:
            return f"{machine} does not answer: {found.silent[machine].message}"
        state = found.other.get(machine, "is no machine of this control plane")
        return f"{machine}: {state}; it has to be configured, with an empty etcd that waits for its bootstrap"
    if not found.waiting:
        told = "; ".join(f"{address}: {word}" for address, word in found.other.items())
        return f"no machine has an empty etcd that waits for its bootstrap ({told}); reset the EPHEMERAL partition of one"
    return ""


def target_of(found: Standing, machine: str | None = None) -> str:
    """The machine to recover on and since when its etcd waits, as `address@time`: what changes once it was told to begin."""
    address = machine or next(iter(found.waiting))
    return f"{address}@{found.waiting[address]}"


def address_of(target: str) -> str:
    """The machine in a target."""
    return target.partition("@")[0]


def _see_enough(found: Standing, members: int) -> None:
    majority = max(found.size, members) // 2 + 1
    if len(found.silent) >= majority:
        told = "; ".join(f"{address}: {error.message}" for address, error in found.silent.items())
        raise RemoteError(
            f"those that do not answer may be a quorum of etcd ({told}); bring them back, or take the ones that are "
            "gone for good off the list of machines",
            operation="etcd",
            sent="yes",
            code="EtcdUndecided",
        )


async def _of(ports: Ports, address: str, bundle: Opaque) -> tuple[str, Any]:
    try:
        replies = await ask(ports, address, bundle, SERVICES)
    except RemoteError as error:
        return "silent", error
    service = next((each for each in replies[0].messages[0].services if each.id == "etcd"), None)
    if service is None:
        return "other", "it has no etcd"
    last = service.events.events[-1] if service.events.events else None
    if service.state == _WAITS:
        return "waiting", last.ts.ToJsonString() if last is not None else ""
    if service.state == _RUNS:
        return ("living" if await _has_leader(ports, address, bundle) else "left"), ""
    said = f": {last.msg}" if last is not None and service.state == _FAILED else ""
    return "other", f"etcd is {service.state}{said}"


async def _has_leader(ports: Ports, address: str, bundle: Opaque) -> bool:
    """Whether a running member is one of a quorum; one that does not say so is taken for one that may be."""
    try:
        replies = await ask(ports, address, bundle, STATUS)
    except RemoteError:
        return True
    status = replies[0].messages[0].member_status
    return bool(status.leader) and not status.errors


async def upload(ports: Ports, address: str, bundle: Opaque, pieces: Iterator[bytes], size: int) -> None:
    """Send a snapshot of `size` bytes to a machine, in place of any it was sent before.

    Each piece is asked for in a thread, and goes in messages of 64 KiB. Raises RemoteError, and what `pieces` raises;
    the machine keeps nothing then.
    """
    kind: Any = protocol.message_class(protocol.methods()[UPLOAD].input.full_name)

    async def messages() -> AsyncIterator[protocol.Message]:
        while piece := await asyncio.to_thread(next, pieces, b""):
            for start in range(0, len(piece), PIECE):
                yield kind(bytes=piece[start : start + PIECE])

    identity = ports.identities.of(bundle, ports.now)
    deadline_s = 30.0 + size / SLOWEST_BYTES_S
    await ports.talos.upload(address, identity, UPLOAD, messages(), deadline_s=deadline_s)


def file_pieces(path: Path) -> Iterator[bytes]:
    """The content of a file. Raises OSError."""
    with path.open("rb") as file:
        while piece := file.read(_READ):
            yield piece


async def bootstrap(ports: Ports, address: str, bundle: Opaque) -> None:
    """Have etcd begin with the uploaded snapshot, whose digest Talos checks. Raises RemoteError."""
    await ask(ports, address, bundle, BOOTSTRAP, {"recover_etcd": True}, deadline_s=30.0, exclusive=True)


def refused(name: str, message: str) -> CapabilityError:
    """Nothing was sent, for a reason that a person can change."""
    return CapabilityError(message, operation=name, sent="no", code="RestoreRefused")
