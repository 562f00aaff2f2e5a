"""MachineService streams: Events, logs, and the few files that clients read.

Events end only with the connection. `Read` knows the boot id and nothing else.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator
from typing import Final

import grpc

from engine.simulator.api.call import Call, Handler, Value, timestamp
from engine.simulator.api.encoding import message_of
from engine.simulator.events import Event, is_xid, new_xid
from engine.simulator.refusal import Refusal, unknown

_BACKLOG: Final = 1000
_BOOT_ID: Final = "/proc/sys/kernel/random/boot_id"


async def _events(call: Call) -> AsyncIterator[Value]:
    request, log = call.request, call.machine.events
    if request.tail_id and not is_xid(request.tail_id):
        raise unknown(f"invalid tail_id: {request.tail_id}")
    queue: asyncio.Queue[Event] = asyncio.Queue(_BACKLOG)
    since = time.time() - request.tail_seconds if request.tail_seconds else None
    past = log.tail(count=request.tail_events, after=request.tail_id, since=since)
    unfollow = log.follow(lambda event: None if queue.full() else queue.put_nowait(event))
    try:
        yield {
            "data": {"type_url": "", "value": ""},
            "id": new_xid(time.time()),
            "actor_id": request.with_actor_id,
        }
        for event in past:
            if _wanted(event, request.with_actor_id):
                yield _event(event)
        while True:
            event = await queue.get()
            if _wanted(event, request.with_actor_id):
                yield _event(event)
    finally:
        unfollow()


def _wanted(event: Event, actor: str) -> bool:
    return not actor or event.actor == actor


def _event(event: Event) -> Value:
    message = message_of(f"machine.{event.name}", event.value)
    data = {
        "type_url": f"talos/runtime/machine.{event.name}",
        "value": base64.b64encode(message.SerializeToString()).decode(),
    }
    return {"data": data, "id": event.id, "actor_id": event.actor}


async def _dmesg(call: Call) -> AsyncIterator[Value]:
    machine = call.machine
    lines = [f"machine {machine.hostname} booted {machine.version}", f"boot id {machine.boot_id}"]
    for line in lines:
        yield {"bytes": f"kern: info: [{timestamp(machine.booted_at)}]: {line}\n"}
    if call.request.follow:
        await asyncio.Event().wait()


async def _logs(call: Call) -> AsyncIterator[Value]:
    service = call.machine.services.get(call.request.id)
    if service is None:
        raise unknown(f'log "{call.request.id}" was not registered')
    for event in service.events:
        yield {"bytes": f"{timestamp(event.at)} {event.state}: {event.message}\n"}
    if call.request.follow:
        await asyncio.Event().wait()


async def _read(call: Call) -> AsyncIterator[Value]:
    if call.request.path != _BOOT_ID:
        raise Refusal(grpc.StatusCode.NOT_FOUND, f"stat {call.request.path}: no such file or directory")
    yield {"bytes": f"{call.machine.boot_id}\n"}


_SERVICE: Final = "machine.MachineService/"
METHODS: Final[dict[str, Handler]] = {
    _SERVICE + "Events": _events,
    _SERVICE + "Dmesg": _dmesg,
    _SERVICE + "Logs": _logs,
    _SERVICE + "Read": _read,
}
