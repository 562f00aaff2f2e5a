"""What was ordered to be done to a mutating request: killing its caller before, instead of or after its answer.

One Meddling accompanies one request from its receipt until its answer has left. Never changes what a
request does: it is carried out whole or not at all. Neighbours: `http` asks here, `mutations` keeps the orders.
"""

from __future__ import annotations

import asyncio
import json
from typing import NoReturn

from aiohttp import web

from engine.standalone.api import Api, Request
from engine.standalone.mutations import Aim, Mutations
from engine.standalone.routes import target_of

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_APPLY = "application/apply-patch+yaml"


class Meddling:
    """The order that meets one request, if any. Make it once, when the request has come in."""

    def __init__(self, mutations: Mutations | None, api: Api, asked: Request) -> None:
        aim = _aim(api, asked) if mutations is not None else None
        self._mutation, self._kill = None, None
        if mutations is not None and aim is not None:
            self._mutation, self._kill = mutations.receive(aim)

    async def before(self, request: web.BaseRequest) -> None:
        """Ask this before anything is carried out; does not return when it shall not be."""
        if self._kill is not None and self._kill.moment == "before":
            self._kill.carry_out()
            await _hang_up(request)

    def carried_out(self, code: int, revision: int) -> None:
        """Tell this how it ended."""
        if self._mutation is not None:
            self._mutation.code, self._mutation.revision = code, revision

    async def after(self, request: web.BaseRequest, response: web.StreamResponse) -> None:
        """Ask this before the answer leaves; does not return when it shall not leave."""
        if self._kill is None:
            return
        if self._kill.moment == "after":
            self._kill.carry_out()
            await _hang_up(request)
        if self._kill.moment == "replied":
            if request.transport is not None:
                # So that writing it ends when all of it lies in the kernel, which a socket to this host takes at once.
                request.transport.set_write_buffer_limits(high=0)
            await response.prepare(request)
            await response.write_eof()
            self._kill.carry_out()


async def _hang_up(request: web.BaseRequest) -> NoReturn:
    if request.transport is not None:
        request.transport.abort()
    # The end of its connection cancels this request.
    await asyncio.Event().wait()
    raise AssertionError("an event that nobody sets was set")


def _aim(api: Api, asked: Request) -> Aim | None:
    """What a mutating request is aimed at; None for any other one."""
    verb = _VERBS.get(asked.method)
    target = target_of(asked.path) if verb is not None else None
    served = api.served(target) if target is not None else None
    if verb is None or target is None or served is None or asked.query.get("dryRun"):
        return None
    if asked.media_type == _APPLY:
        verb = "apply"
    if verb == "delete" and not target.name:
        verb = "deletecollection"
    name = target.name or (_name_in(asked.body) if verb == "create" else "")
    return Aim(verb, served.kind, target.namespace or "", name, target.subresource)


def _name_in(body: bytes) -> str:
    """The name that a new object asks for; empty where it is told in no JSON, or has none."""
    try:
        name = json.loads(body)["metadata"]["name"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return name if isinstance(name, str) else ""
