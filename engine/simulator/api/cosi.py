"""The resource API: Get, List and Watch with its handshake (talos-api 1.6).

Resources come from three stores: the machine's own, the members of its cluster, and the fixed
definitions. Writing is refused as Talos refuses it. Neighbours: `resources` has versions and
followers, `encoding` makes messages of specs.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, Final

import grpc

from engine.protocol import cosi_types
from engine.simulator.api.call import Call, Handler, Value
from engine.simulator.api.encoding import encoded
from engine.simulator.definitions import DEFINITIONS, definitions
from engine.simulator.membership import MEMBERS
from engine.simulator.refusal import Refusal, precondition
from engine.simulator.resources import Change, Resource, ResourceStore

_BACKLOG: Final = 1000
_NOT_EXISTS: Final = 2
_EMPTY: Final = ResourceStore()


async def _get(call: Call) -> Value:
    request = call.request
    found = _store(call, request.namespace, request.type).get(request.type, request.id)
    if found is None:
        name = f"{request.type}({request.namespace}/{request.id}@undefined)"
        raise Refusal(grpc.StatusCode.NOT_FOUND, f"resource {name} doesn't exist")
    return {"resource": encoded(found)}


async def _list(call: Call) -> AsyncIterator[Value]:
    request = call.request
    wanted = _selector(request.options)
    for resource in _store(call, request.namespace, request.type).list(request.type):
        if wanted(resource):
            yield {"resource": encoded(resource)}


async def _watch(call: Call) -> AsyncIterator[Value]:
    request = call.request
    single = request.HasField("id")
    options = request.options
    if single and (options.bootstrap_contents or options.label_query):
        raise Refusal(grpc.StatusCode.UNIMPLEMENTED, "not supported for a watch of a single resource")
    if options.HasField("start_from_bookmark"):
        raise precondition("invalid watch bookmark")
    store, wanted = _store(call, request.namespace, request.type), _selector(options)
    queue: asyncio.Queue[Change] = asyncio.Queue(_BACKLOG)
    unfollow = store.follow(_follower(queue, request, wanted))
    try:
        yield {"event": []}
        for event in _first(store, request, wanted):
            yield {"event": [event]}
        while not queue.full():
            yield {"event": [_event(await queue.get())]}
        yield {"event": [{"event_type": "ERRORED", "error": "buffer overrun"}]}
    finally:
        unfollow()


def _follower(
    queue: asyncio.Queue[Change], request: Any, wanted: Callable[[Resource], bool]
) -> Callable[[Change], None]:
    kind, single, name = request.type, request.HasField("id"), request.id

    def take(change: Change) -> None:
        resource = change.resource
        if (
            resource.type == kind
            and (not single or resource.id == name)
            and wanted(resource)
            and not queue.full()
        ):
            queue.put_nowait(change)

    return take


def _first(store: ResourceStore, request: Any, wanted: Callable[[Resource], bool]) -> Iterable[Value]:
    if request.HasField("id"):
        found = store.get(request.type, request.id)
        if found is None:
            metadata = {"namespace": request.namespace, "type": request.type, "id": request.id}
            return [
                {"event_type": "DESTROYED", "resource": {"metadata": {**metadata, "version": "undefined"}}}
            ]
        return [_event(Change("CREATED", found))]
    if not request.options.bootstrap_contents:
        return []
    events = [
        _event(Change("CREATED", resource)) for resource in store.list(request.type) if wanted(resource)
    ]
    return [*events, {"event_type": "BOOTSTRAPPED"}]


def _event(change: Change) -> Value:
    event: dict[str, Any] = {"event_type": change.kind, "resource": encoded(change.resource)}
    if change.old is not None:
        event["old"] = encoded(change.old)
    return event


def _store(call: Call, namespace: str, kind: str) -> ResourceStore:
    known = cosi_types().get(kind)
    if known is None:
        raise Refusal(grpc.StatusCode.PERMISSION_DENIED, f'resource type "{kind}" is not supported')
    if known.sensitive and not call.admin:
        raise Refusal(grpc.StatusCode.PERMISSION_DENIED, "not authorized")
    if known.namespace != namespace:
        if namespace not in {other.namespace for other in cosi_types().values()}:
            raise Refusal(grpc.StatusCode.PERMISSION_DENIED, f'namespace "{namespace}" is not supported')
        return _EMPTY
    if kind == DEFINITIONS:
        return definitions()
    if kind == MEMBERS:
        return call.machine.cluster.members if call.machine.cluster and call.machine.config else _EMPTY
    return call.machine.resources


def _selector(options: Any) -> Callable[[Resource], bool]:
    pattern = re.compile(options.id_query.regexp) if options.id_query.regexp else None
    # The simulated resources carry no labels: a query holds when all of its terms are about absence.
    queries = [all(_holds_without_labels(term) for term in query.terms) for query in options.label_query]
    labelled = any(queries) if queries else True
    return lambda resource: labelled and (pattern is None or pattern.search(resource.id) is not None)


def _holds_without_labels(term: Any) -> bool:
    return bool((term.op == _NOT_EXISTS) != term.invert)


async def _write(call: Call) -> Value:
    message = "write access is not allowed" if call.admin else "not authorized"
    raise Refusal(grpc.StatusCode.PERMISSION_DENIED, message)


_SERVICE: Final = "cosi.resource.State/"
METHODS: Final[dict[str, Handler]] = {
    _SERVICE + "Get": _get,
    _SERVICE + "List": _list,
    _SERVICE + "Watch": _watch,
    **{_SERVICE + name: _write for name in ("Create", "Update", "Destroy", "Teardown", "TeardownAndDestroy")},
}
