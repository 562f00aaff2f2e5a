"""Every call goes through here: who calls, may he, which machine, which handler; then the log line.

One grpc.aio server serves all machines; the name of a call's backend socket says on which
connection, so on which machine, it came. Neighbours: `front` knows the connections, `access` and
`routing` decide, `api` handles, `meddling` does what was ordered to a call, `calls` logs.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio

from engine.protocol import Message, Method, message_class, methods, to_message
from engine.simulator import access
from engine.simulator.api.call import Call, Handler
from engine.simulator.calls import CallLog
from engine.simulator.connections import Peer
from engine.simulator.faults import Faults
from engine.simulator.fleet import Fleet
from engine.simulator.meddling import Meddling
from engine.simulator.mutations import Mutations
from engine.simulator.refusal import Refusal
from engine.simulator.routing import Route, routes


@dataclass(slots=True)
class _Entry:
    """A line of the call log in the making; `code` is empty while nothing is decided."""

    code: str = ""


class Dispatcher(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic only in the stubs
    """Serves every method of the protocol; those without a handler are UNIMPLEMENTED, and logged."""

    def __init__(
        self,
        fleet: Fleet,
        handlers: Mapping[str, Handler],
        calls: CallLog,
        faults: Faults,
        mutations: Mutations,
    ) -> None:
        self._fleet = fleet
        self._handlers = handlers
        self._calls = calls
        self._faults = faults
        self._mutations = mutations
        self._made: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any]:
        path = details.method.lstrip("/")
        if path not in methods():
            return grpc.unary_unary_rpc_method_handler(self._unary(path, None))
        if path not in self._made:
            self._made[path] = self._make(methods()[path])
        return self._made[path]

    def _make(self, method: Method) -> grpc.RpcMethodHandler[Any, Any]:
        make: Callable[..., grpc.RpcMethodHandler[Any, Any]] = {
            (False, False): grpc.unary_unary_rpc_method_handler,
            (False, True): grpc.unary_stream_rpc_method_handler,
            (True, False): grpc.stream_unary_rpc_method_handler,
            (True, True): grpc.stream_stream_rpc_method_handler,
        }[method.client_streaming, method.server_streaming]
        answer = self._stream(method) if method.server_streaming else self._unary(method.path, method)
        return make(
            answer,
            request_deserializer=message_class(method.input.full_name).FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )

    def _unary(self, path: str, method: Method | None) -> Callable[..., Any]:
        async def answer(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Message:
            with self._recorded(path, context) as (peer, entry):
                try:
                    handler = self._find(path)
                    assert method is not None
                    found, fan_out = self._routes(peer, path, context)
                    meddling = self._meddling(found, peer, path, request)
                    try:
                        await meddling.before(context)
                        given = meddling.upload(request) if method.client_streaming else request
                        reply = await self._answer(found, fan_out, peer, method, handler, given)
                    except Refusal as refusal:
                        entry.code = refusal.code.name
                        await meddling.after(entry.code)
                        raise
                    entry.code = "OK"
                    await meddling.after(entry.code)
                    return reply
                except Refusal as refusal:
                    entry.code = refusal.code.name
                    await context.abort(refusal.code, refusal.message)

        return answer

    def _stream(self, method: Method) -> Callable[..., Any]:
        async def answer(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[Message]:
            with self._recorded(method.path, context) as (peer, entry):
                try:
                    handler = self._find(method.path)
                    found, fan_out = self._routes(peer, method.path, context)
                    meddling = self._meddling(found, peer, method.path, request)
                    try:
                        await meddling.before(context)
                        items = self._items(found, fan_out, peer, method, handler, request)
                        async for message in meddling.through(items):
                            yield message
                    except Refusal as refusal:
                        entry.code = refusal.code.name
                        await meddling.after(entry.code)
                        raise
                    entry.code = "OK"
                    await meddling.after(entry.code)
                except Refusal as refusal:
                    entry.code = refusal.code.name
                    await context.abort(refusal.code, refusal.message)

        return answer

    def _meddling(self, found: list[Route], peer: Peer, path: str, request: Any) -> Meddling:
        targets = [route.machine.address if route.machine else route.target for route in found]
        return Meddling(self._faults, self._mutations, peer, ",".join(targets), path, request)

    async def _answer(
        self, found: list[Route], fan_out: bool, peer: Peer, method: Method, handler: Handler, request: Any
    ) -> Message:
        if not fan_out:
            value = await self._ask(found[0], peer, method.path, handler, request)
        else:
            value = {"messages": await self._gather(found, peer, method.path, handler, request)}
        return to_message(method.output, value)

    async def _ask(
        self, route: Route, peer: Peer, path: str, handler: Handler, request: Any
    ) -> Mapping[str, Any]:
        reply = handler(self._call(route, peer, path, request))
        assert inspect.isawaitable(reply)
        answer: Mapping[str, Any] = await reply
        return answer

    async def _gather(
        self, found: list[Route], peer: Peer, path: str, handler: Handler, request: Any
    ) -> list[Mapping[str, Any]]:
        messages: list[Mapping[str, Any]] = []
        for route in found:
            try:
                reply = await self._ask(route, peer, path, handler, request)
                messages += [
                    {**message, "metadata": {"hostname": route.target}} for message in reply["messages"]
                ]
            except Refusal as refusal:
                messages.append({"metadata": _failure(route.target, refusal)})
        return messages

    async def _items(
        self, found: list[Route], fan_out: bool, peer: Peer, method: Method, handler: Handler, request: Any
    ) -> AsyncIterator[Message]:
        for route in found:
            try:
                items = handler(self._call(route, peer, method.path, request))
                assert isinstance(items, AsyncIterator)
                async for item in items:
                    yield to_message(
                        method.output, {**item, "metadata": {"hostname": route.target}} if fan_out else item
                    )
            except Refusal as refusal:
                if not fan_out:
                    raise
                yield to_message(method.output, {"metadata": _failure(route.target, refusal)})

    def _call(self, route: Route, peer: Peer, path: str, request: Any) -> Call:
        if route.machine is None:
            assert route.refusal is not None
            raise route.refusal
        machine = route.machine
        access.check(path, minor=machine.minor, maintenance=machine.maintenance, roles=peer.roles)
        return Call(machine, peer.roles, request)

    def _routes(
        self, peer: Peer, path: str, context: grpc.aio.ServicerContext[Any, Any]
    ) -> tuple[list[Route], bool]:
        return routes(peer.machine, self._fleet.machines, context.invocation_metadata() or (), path)

    def _find(self, path: str) -> Handler:
        handler = self._handlers.get(path)
        if handler is None:
            service, _, name = path.partition("/")
            raise Refusal(grpc.StatusCode.UNIMPLEMENTED, f"unknown method {name} for service {service}")
        return handler

    @contextmanager
    def _recorded(
        self, path: str, context: grpc.aio.ServicerContext[Any, Any]
    ) -> Iterator[tuple[Peer, _Entry]]:
        began, started, entry = time.time(), time.monotonic(), _Entry()
        peer = self._fleet.connections.peer(context.peer())
        if peer is None:
            raise asyncio.CancelledError
        lost = False
        try:
            yield peer, entry
        except (asyncio.CancelledError, GeneratorExit):
            # What had been decided before the caller went away was carried out, only its reply was lost.
            lost, entry.code = bool(entry.code), entry.code or "CANCELLED"
            raise
        except Exception:
            entry.code = entry.code or "INTERNAL"
            raise
        finally:
            roles = peer.roles if peer.certified else ()
            seconds = time.monotonic() - started
            self._calls.add(began, peer.machine.address, roles, path, entry.code, seconds, lost=lost)


def _failure(target: str, refusal: Refusal) -> Mapping[str, Any]:
    status = {"code": refusal.code.value[0], "message": refusal.message}
    return {
        "hostname": target,
        "error": f"rpc error: code = {refusal.code.name} desc = {refusal.message}",
        "status": status,
    }
