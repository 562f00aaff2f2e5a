"""O2, the history: what was done to machines and which objects came and went, as often as in the reference.

Calls that a crash may repeat without harm are named here, each with its reason. Pure. Neighbours: `trial` compares.
"""

from __future__ import annotations

from collections import Counter

from tests.crash.record import Record

SERVICE = "machine.MachineService/"
ONCE = frozenset({SERVICE + "Bootstrap", SERVICE + "Reset", SERVICE + "EtcdLeaveCluster"})
"""Irreversible: counted whenever a machine decided about them, refusals included."""
REPEATABLE = frozenset(
    {SERVICE + "EtcdForfeitLeadership"}
)  # whoever leads may be asked again to let another one lead
_UNCOUNTED = frozenset({"Event", "Lease"})  # told for people; taken and given back as often as it takes


def effects(record: Record) -> Counter[str]:
    """How often each effect was had."""
    seen: Counter[str] = Counter()
    for call in record.sight.calls:
        method, machine = call["method"], call["machine"].replace(record.prefix, "127.0.X")
        counts = call["code"] is not None if method in ONCE else call["code"] == "OK"
        if counts and method not in REPEATABLE:
            seen[f"{method} to {machine}"] += 1
    for version in record.versions:
        kind, name, _ = version.key
        if version.revision > record.begin and version.type != "MODIFIED" and kind not in _UNCOUNTED:
            seen[f"{kind} {name} {version.type}".replace(record.prefix, "127.0.X")] += 1
    return seen
