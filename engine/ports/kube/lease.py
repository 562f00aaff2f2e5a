"""A Lease as the record of an election: who holds it, for how long, and how often it went to somebody else.

Reads whatever somebody has written there and never trusts its times, which are other machines' clocks. Pure. Source:
coordination.k8s.io/v1 LeaseSpec, client-go's leaderelection. Neighbours: `engine.election` decides by it,
`engine.leader` reads and writes it; `act.lanes` has Leases of another meaning.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from engine.base.kinds import Kind
from engine.base.timestamps import rfc3339_micro

LEASE: Final = Kind("coordination.k8s.io", "v1", "Lease", "leases")


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """What a Lease says. `holder` is empty when nobody has it; `seconds` None where it says nothing sensible.

    `renewed` and `acquired` are texts that are compared and handed on, never read as times.
    """

    holder: str = ""
    seconds: int | None = None
    renewed: str = ""
    acquired: str = ""
    transitions: int = 0


def record_of(lease: Mapping[str, Any]) -> LeaseRecord:
    """The record in a Lease; parts that are missing or of a wrong type count as not there."""
    spec = lease.get("spec")
    if not isinstance(spec, Mapping):
        return LeaseRecord()
    return LeaseRecord(
        holder=_text(spec.get("holderIdentity")),
        seconds=_count(spec.get("leaseDurationSeconds")) or None,
        renewed=_text(spec.get("renewTime")),
        acquired=_text(spec.get("acquireTime")),
        transitions=_count(spec.get("leaseTransitions")),
    )


def held(before: LeaseRecord | None, holder: str, seconds: float, now: float) -> LeaseRecord:
    """The record with which `holder` takes or keeps the lease; `now` in seconds since 1970, for people to read."""
    told = rfc3339_micro(now)
    keeps = before is not None and before.holder == holder
    return LeaseRecord(
        holder=holder,
        seconds=math.ceil(seconds),
        renewed=told,
        acquired=(before.acquired if keeps and before is not None else "") or told,
        transitions=0 if before is None else before.transitions + (not keeps),
    )


def given_up(before: LeaseRecord, now: float) -> LeaseRecord:
    """The record with which its holder leaves the lease to whoever comes first."""
    told = rfc3339_micro(now)
    return LeaseRecord("", 1, told, told, before.transitions)


def written(lease: Mapping[str, Any] | None, record: LeaseRecord) -> dict[str, Any]:
    """The body of a Lease that says so: all the rest as in `lease`, its resource version included."""
    spec = {
        "holderIdentity": record.holder,
        "leaseDurationSeconds": record.seconds,
        "renewTime": record.renewed,
        "acquireTime": record.acquired,
        "leaseTransitions": record.transitions,
    }
    if lease is None:
        return {"spec": spec}
    before = lease.get("spec")
    return {**lease, "spec": {**(before if isinstance(before, Mapping) else {}), **spec}}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _count(value: object) -> int:
    """A number from 0 on; 0 for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
