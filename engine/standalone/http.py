"""The HTTP edge: who is let in, bodies in, answers and watch streams out.

A fault of the database becomes a 500 or 507 Status, never a broken connection. Logs no bodies and no
tokens. Neighbours: `api` below, `server` and `door` above.
"""

from __future__ import annotations

import hmac
import logging
import sqlite3
from collections.abc import Callable
from typing import TypeAlias

from aiohttp import web

from engine.standalone.api import Answer, Api, Renderer, Request, encode, joined_warnings
from engine.standalone.decoding import MAX_BODY_BYTES
from engine.standalone.failures import ApiFailure, bad_request, storage_failed
from engine.standalone.meddling import Meddling
from engine.standalone.mutations import Mutations
from engine.standalone.watching import Watch

_HEALTH = {"/healthz", "/livez", "/readyz"}
_LOG = logging.getLogger(__name__)


Guard: TypeAlias = Callable[[web.BaseRequest], None]
"""Raises ApiFailure for a request that is not let in."""


def by_token(token: str) -> Guard:
    """Let in whoever has this bearer token."""
    expected = f"Bearer {token}".encode()

    def guard(request: web.BaseRequest) -> None:
        given = request.headers.get("Authorization", "").encode("utf-8", "replace")
        if not hmac.compare_digest(given, expected):
            raise ApiFailure(401, "Unauthorized", "Unauthorized")

    return guard


def by_certificate(group: str) -> Guard:
    """Let in whoever has a client certificate of the TLS context's authorities for this group (organization)."""

    def guard(request: web.BaseRequest) -> None:
        shown = request.transport.get_extra_info("peercert") if request.transport is not None else None
        if not shown:
            raise ApiFailure(401, "Unauthorized", "Unauthorized")
        if ("organizationName", group) not in {pair for part in shown.get("subject", ()) for pair in part}:
            raise ApiFailure(403, "Forbidden", f"only {group} may use this API")

    return guard


class Edge:
    """The handler of every request that `guard` lets in."""

    def __init__(self, api: Api, guard: Guard, mutations: Mutations | None = None) -> None:
        self._api = api
        self._guard = guard
        self._mutations = mutations

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        try:
            if request.path in _HEALTH:
                return web.Response(text="ok")
            self._guard(request)
            asked = await _read(request)
        except ApiFailure as failure:
            return _refusal(failure)
        meddling = Meddling(self._mutations, self._api, asked)
        await meddling.before(request)
        response = await self._answered(request, asked)
        meddling.carried_out(response.status, self._api.revision)
        await meddling.after(request, response)
        return response

    async def _answered(self, request: web.BaseRequest, asked: Request) -> web.StreamResponse:
        try:
            answer = self._api.handle(asked)
            if answer.watch is not None and answer.render is not None:
                return await _stream(request, answer.watch, answer.render)
            return _respond(answer)
        except ApiFailure as failure:
            return _refusal(failure)
        except sqlite3.Error as error:
            _LOG.warning("%s %s: the database failed: %s", request.method, request.path, error)
            return _refusal(storage_failed(error))
        except RecursionError:
            return _refusal(bad_request("the object is nested too deeply"))
        except Exception:  # noqa: BLE001  a fault of ours must reach the client as a Status too
            _LOG.exception("%s %s failed", request.method, request.path)
            return _refusal(
                ApiFailure(500, "InternalError", "an internal error occurred; the log has the details")
            )


async def _read(request: web.BaseRequest) -> Request:
    body = bytearray()
    async for chunk in request.content.iter_chunked(65536):
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            break
    return Request(
        method=request.method,
        path=request.rel_url.raw_path,
        query=request.query,
        body=bytes(body),
        media_type=request.headers.get("Content-Type", "").partition(";")[0].strip().lower(),
        accept=request.headers.get("Accept", ""),
        agent=request.headers.get("User-Agent", ""),
    )


def _respond(answer: Answer) -> web.Response:
    headers = {"Content-Type": answer.media_type}
    response = web.Response(body=answer.body, status=answer.code, headers=headers)
    for text in joined_warnings(answer.warnings):
        response.headers.add("Warning", text)
    return response


def _refusal(failure: ApiFailure) -> web.Response:
    headers = {}
    if "retryAfterSeconds" in failure.details:
        headers["Retry-After"] = str(failure.details["retryAfterSeconds"])
    body = encode(failure.body())
    return web.Response(body=body, status=failure.code, content_type="application/json", headers=headers)


async def _stream(request: web.BaseRequest, watch: Watch, render: Renderer) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.enable_chunked_encoding()
    await response.prepare(request)
    try:
        async for event in watch.events():
            await response.write(render.event(event))
    except sqlite3.Error as error:
        await response.write(encode({"type": "ERROR", "object": storage_failed(error).body()}) + b"\n")
    except ConnectionError:
        return response
    await response.write_eof()
    return response
