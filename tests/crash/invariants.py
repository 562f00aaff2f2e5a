"""S1 to S4 and S6: what held after every call and every version of every object.

Each check gives the violations it found, as text; none is a pass. Times of calls and of versions come from one
clock; a version is called early or late only when it certainly was. Pure. Neighbours: `trial` asks all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.crash.effects import ONCE, SERVICE
from tests.crash.record import Call, Record, Version

_DISRUPTIVE = frozenset(
    SERVICE + name
    for name in ("ApplyConfiguration", "Reset", "Reboot", "Shutdown", "Upgrade", "EtcdLeaveCluster")
) | {"machine.LifecycleService/Upgrade"}
_BEGINNING = frozenset({SERVICE + "ApplyConfiguration", SERVICE + "Bootstrap"})
_LOOK_TAKES_S = 0.5
"""The longest time from the look at an object to the arrival of what is sent then, on a machine that is busy."""
_BOOTSTRAP = SERVICE + "Bootstrap"
_RESET = SERVICE + "Reset"


def one_bootstrap(record: Record) -> Iterator[str]:
    """S1: at most one accepted Bootstrap, never sent to two nodes, and never without its intent written before."""
    sent = [call for call in record.sight.calls if call["method"] == _BOOTSTRAP]
    nodes = sorted({call["machine"] for call in sent})
    if len(nodes) > 1:
        yield f"S1: Bootstrap was sent to {', '.join(nodes)}"
    if sum(call["code"] == "OK" for call in sent) > 1:
        yield "S1: two accepted Bootstraps"


def written_before(record: Record) -> Iterator[str]:
    """S1: whatever must happen once is in an open intent before it is sent (write, look, send, look)."""
    for call in record.sight.calls:
        if call["method"] not in ONCE:
            continue
        if not any(_has_intent(version, call) for version in record.versions):
            yield f"S1: {call['method']} to {call['machine']} without an open intent"


def _has_intent(version: Version, call: Call) -> bool:
    if version.since > call["time"] or version.type == "DELETED":
        return False
    own = (version.body.get("spec") or {}).get("endpoint") == call["machine"]
    intents = (version.body.get("status") or {}).get("intents") or ()
    return any(not each["done"] and (own or each["target"] == call["machine"]) for each in intents)


def one_down(record: Record) -> Iterator[str]:
    """S2, S3: nothing disruptive to a member of etcd while another one is down or the quorum hangs on it."""
    for call in record.sight.calls:
        etcd = call["etcd"]
        if call["method"] not in _DISRUPTIVE or etcd is None or not etcd["own"] or etcd["voters"] == 1:
            continue
        if _cluster_leaves(record, call):
            continue
        told = (
            f"{call['method']} to {call['machine']} while {etcd['running']} of {etcd['voters']} members run"
        )
        if etcd["running"] < etcd["voters"]:
            yield f"S2: {told}"
        if etcd["running"] - 1 < etcd["voters"] // 2 + 1:
            yield f"S3: {told}"


def _cluster_leaves(record: Record, call: Call) -> bool:
    """Whether the whole control plane was being deleted by then: no quorum is to be kept."""
    return any(
        version.body["metadata"].get("deletionTimestamp") and version.since <= call["time"]
        for version in record.states("TalosControlPlane")
    )


def guarded_end(record: Record) -> Iterator[str]:
    """S4: no reset of what is not being deleted, no end before its reset, no effect without a finalizer.

    And nothing new is begun with a machine whose object is being deleted: whoever sends it has looked before.
    """
    for call in record.sight.calls:
        owners = _versions_for(record, call["machine"], before=call["time"])
        if call["method"] in _BEGINNING and any(
            each.body["metadata"].get("deletionTimestamp") and each.until < call["time"] - _LOOK_TAKES_S
            for each in owners
        ):
            yield f"S4: {call['method']} to {call['machine']}, whose object is being deleted"
        if not any(each.body["metadata"].get("finalizers") for each in owners):
            yield f"S4: {call['method']} to {call['machine']}, whose object has no finalizer"
        if call["method"] == _RESET and not any(
            each.body["metadata"].get("deletionTimestamp") for each in owners
        ):
            yield f"S4: reset of {call['machine']}, whose object is not being deleted"
    for version in record.states("TalosMachine"):
        if version.type == "DELETED" and version.body["spec"].get("deletionPolicy", "reset") == "reset":
            yield from _reset_before(record, version)


def _versions_for(record: Record, machine: str, *, before: float) -> list[Version]:
    return [
        each
        for each in record.states("TalosMachine")
        if each.body["spec"]["endpoint"] == machine and each.since <= before
    ]


def _reset_before(record: Record, end: Version) -> Iterator[str]:
    machine = end.body["spec"]["endpoint"]
    done = [
        call
        for call in record.sight.calls
        if call["method"] == _RESET and call["machine"] == machine and call["code"] == "OK"
    ]
    if not any(call["time"] <= end.until for call in done):
        yield f"S4: {end.body['metadata']['name']} lost its finalizer before {machine} was reset"


def honest_generations(record: Record) -> Iterator[str]:
    """S6: observedGeneration never falls or runs ahead, and Ready is True only of the generation that was observed."""
    last: dict[tuple[str, str, str], int] = {}
    for version in record.versions:
        status = version.body.get("status") or {}
        observed = status.get("observedGeneration")
        if observed is None or version.type == "DELETED":
            continue
        name = f"{version.body['kind']} {version.body['metadata']['name']} at {version.revision}"
        if observed > version.body["metadata"]["generation"]:
            yield f"S6: {name} has observed generation {observed}, which is not there yet"
        if observed < last.get(version.key, 0):
            yield f"S6: {name} observed generation {observed} after {last[version.key]}"
        last[version.key] = observed
        yield from _ready_of_the_observed(name, status, version)


def _ready_of_the_observed(name: str, status: dict[str, Any], version: Version) -> Iterator[str]:
    ready = _ready(status)
    if ready is None or ready["status"] != "True":
        return
    if ready.get("observedGeneration") != status["observedGeneration"]:
        yield f"S6: {name} is Ready of generation {ready.get('observedGeneration')}"
    before = _ready((version.previous or {}).get("status") or {})
    became = before is None or before["status"] != "True"
    if became and status["observedGeneration"] != version.body["metadata"]["generation"]:
        yield f"S6: {name} became Ready with a generation that it has not observed"


def _ready(status: dict[str, Any]) -> dict[str, Any] | None:
    return next((item for item in status.get("conditions") or () if item["type"] == "Ready"), None)


CHECKS = (one_bootstrap, written_before, one_down, guarded_end, honest_generations)
