"""The etcd group of MachineService (talos-api 1.4) and Bootstrap.

Membership changes happen in `cluster`, recoveries in `recovery`; here are the guards, the words and the shapes.
A snapshot leaves in messages of 1 KiB, as from a real machine, with the SHA-256 trailer; a learner gives one, too.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator
from typing import Final

import grpc

from engine.base.addresses import bracketed
from engine.etcdfile.layout import PAGE
from engine.simulator import etcd as rules
from engine.simulator.api.call import Call, Handler, Value, control_plane_only, one
from engine.simulator.cluster import Cluster
from engine.simulator.database import database_pages
from engine.simulator.etcd import EtcdCluster, Member
from engine.simulator.machine import Recovery
from engine.simulator.refusal import Refusal, invalid, precondition, unknown

MESSAGE_BYTES: Final = 1024
_PROTOCOL: Final = "3.6.12"
_OLD_PROTOCOL: Final = "3.5.26"
"""Of the etcd that Talos brought before 1.11, which says nothing of its storage version."""


async def _bootstrap(call: Call) -> Value:
    control_plane_only(call, "bootstrap")
    machine = call.machine
    assert machine.config is not None
    assert machine.cluster is not None
    if machine.busy or not machine.services.is_running("cri"):
        raise precondition("bootstrap is not available yet")
    if not machine.config.etcd:
        raise invalid("etcd is not configured, bootstrap is not possible")
    if machine.disk.etcd is not None or machine.recovery is not None:
        raise Refusal(grpc.StatusCode.ALREADY_EXISTS, "etcd data directory is not empty")
    if call.request.recover_etcd:
        # Answered before anybody looks at the snapshot: what is wrong with it shows in the service.
        machine.recovery = Recovery(check=not call.request.recover_skip_hash_check)
        machine.touch_cluster()
    else:
        machine.cluster.bootstrap(machine)
    return one()


async def _members(call: Call) -> Value:
    control_plane_only(call, "member list")
    known = _local(call)[1] if call.request.query_local else _quorate(call)
    return one(
        {
            "legacy_members": [member.name for member in known.members],
            "members": [_member(member) for member in known.members],
        }
    )


def _member(member: Member) -> Value:
    host = bracketed(member.address)
    return {
        "id": member.id,
        "hostname": member.name,
        "peer_urls": [f"https://{host}:2380"],
        "client_urls": [f"https://{host}:2379"],
        "is_learner": member.learner,
    }


async def _status(call: Call) -> Value:
    control_plane_only(call, "etcd status")
    cluster, known, member = _local(call)
    size = call.machine.disk.database_bytes
    quorate = rules.has_quorum(known, cluster.running(known.key))
    status = {
        "member_id": member.id,
        "protocol_version": _PROTOCOL if call.machine.minor >= (1, 11) else _OLD_PROTOCOL,
        "db_size": size,
        "db_size_in_use": size // 2,
        "leader": known.leader,
        "raft_index": known.index,
        "raft_applied_index": known.index,
        "raft_term": known.term,
        "is_learner": member.learner,
        "errors": [] if quorate else ["etcdserver: no leader"],
    }
    if call.machine.minor >= (1, 11):
        status["storage_version"] = "3.6.0"
    return one({"member_status": status})


async def _alarms(call: Call) -> Value:
    control_plane_only(call, "etcd alarm list")
    known = _local(call)[1]
    return one(
        {
            "member_alarms": [
                {"member_id": member, "alarm": rules.ALARMS[alarm]} for member, alarm in known.alarms
            ]
        }
    )


async def _disarm(call: Call) -> Value:
    control_plane_only(call, "etcd alarm disarm")
    cluster, known, _ = _local(call)
    reply = await _alarms(call)
    cluster.disarm(known)
    return reply


async def _defragment(call: Call) -> Value:
    control_plane_only(call, "etcd defragment")
    _local(call)
    smaller = call.machine.disk.database_bytes // 2 // PAGE * PAGE
    call.machine.write(database_bytes=max(smaller, 1 << 20))
    return one()


async def _forfeit(call: Call) -> Value:
    control_plane_only(call, "etcd forfeit leadership")
    cluster, known, member = _local(call)
    if len(known.members) == 1:
        raise unknown("failed to forfeit leadership: cannot forfeit leadership, only one member")
    if known.leader != member.id:
        return one({"member": ""})
    after = cluster.forfeit(known)
    leader = after.member(after.leader)
    return one({"member": leader.name if leader and leader.id != member.id else ""})


async def _leave(call: Call) -> Value:
    control_plane_only(call, "etcd leave")
    cluster = _cluster(call)
    if call.machine.disk.etcd is not None and cluster.etcd_of(call.machine) is not None:
        _quorate(call)
    cluster.leave(call.machine)
    return one()


async def _remove(call: Call) -> Value:
    control_plane_only(call, "etcd remove member")
    known = _quorate(call)
    if known.member(call.request.member_id) is None:
        raise Refusal(grpc.StatusCode.NOT_FOUND, "etcdserver: member not found")
    _cluster(call).remove(known, call.request.member_id)
    return one()


async def _snapshot(call: Call) -> AsyncIterator[Value]:
    control_plane_only(call, "etcd snapshot")
    _, known, _ = _local(call)
    digest = hashlib.sha256()
    for part in database_pages(known, call.machine.disk.database_bytes):
        digest.update(part)
        for start in range(0, len(part), MESSAGE_BYTES):
            yield {"bytes": part[start : start + MESSAGE_BYTES]}
    yield {"bytes": digest.digest()}


async def _recover(call: Call) -> Value:
    machine = call.machine
    # Talos asks whether /var is there, which is so once CRI runs; a running etcd is no obstacle to an upload.
    if machine.busy or not machine.services.is_running("cri"):
        raise precondition("etcd service is not ready for recovery yet")
    control_plane_only(call, "etcd recover")
    whole = False
    try:
        machine.upload.parent.mkdir(mode=0o700, exist_ok=True)
        with machine.upload.open("wb") as file:
            async for message in call.request:
                file.write(message.bytes)
            file.flush()
            os.fsync(file.fileno())
        whole = True
    finally:
        if not whole:
            machine.upload.unlink(missing_ok=True)
    return one()


def _cluster(call: Call) -> Cluster:
    cluster = call.machine.cluster
    assert cluster is not None
    return cluster


def _local(call: Call) -> tuple[Cluster, EtcdCluster, Member]:
    cluster = _cluster(call)
    found = cluster.etcd_of(call.machine)
    if found is None or not call.machine.services.is_running("etcd"):
        raise unknown("error building etcd client: context deadline exceeded")
    return cluster, found[0], found[1]


def _quorate(call: Call) -> EtcdCluster:
    """The etcd cluster as a linearizable request sees it: through any member, but with a leader."""
    cluster = _cluster(call)
    own = cluster.etcd_of(call.machine)
    candidates = [own[0]] if own else cluster.etcd_clusters()
    reachable = [known for known in candidates if cluster.running(known.key)]
    if not reachable:
        raise unknown("error building etcd client: context deadline exceeded")
    for known in reachable:
        if rules.has_quorum(known, cluster.running(known.key)):
            return known
    raise unknown("etcdserver: no leader")


_SERVICE: Final = "machine.MachineService/"
METHODS: Final[dict[str, Handler]] = {
    _SERVICE + "Bootstrap": _bootstrap,
    _SERVICE + "EtcdMemberList": _members,
    _SERVICE + "EtcdStatus": _status,
    _SERVICE + "EtcdAlarmList": _alarms,
    _SERVICE + "EtcdAlarmDisarm": _disarm,
    _SERVICE + "EtcdDefragment": _defragment,
    _SERVICE + "EtcdForfeitLeadership": _forfeit,
    _SERVICE + "EtcdLeaveCluster": _leave,
    _SERVICE + "EtcdRemoveMemberByID": _remove,
    _SERVICE + "EtcdSnapshot": _snapshot,
    _SERVICE + "EtcdRecover": _recover,
}
