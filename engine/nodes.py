"""Reach Talos nodes for rules: a method or a COSI resource by its name, values in and out.

Turns bundles into identities and messages into values, of which only the fields that a rule
reads are converted. Never decides and never retries. Neighbours: `observe` reads, `act` sends;
`ports.talos` carries, `protocol` knows the messages.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine import protocol
from engine.base.errors import Missing
from engine.base.fieldtree import FieldTree
from engine.base.values import Opaque, reveal
from engine.capabilities.identities import Identities
from engine.ports.talos.client import TalosClient
from engine.ruleset.model import CosiRead, TalosRead

_STATE = "cosi.resource.State"


class Nodes:
    """Calls by name. `bundle` None means maintenance mode: no client certificate."""

    def __init__(self, client: TalosClient, identities: Identities) -> None:
        self._client = client
        self._identities = identities

    async def read(
        self,
        address: str,
        bundle: Opaque | None,
        source: TalosRead,
        request: Mapping[str, Any],
        now: float,
        deadline_s: float,
    ) -> Any:
        """The reply of a unary method, or the list of replies of a server stream.

        Raises RemoteError; nothing was changed on the node, whatever `sent` says.
        """
        method = protocol.methods()[source.method]
        message = protocol.to_message(method, reveal(request))
        replies = await self._client.call(
            address,
            self._identity(bundle, now),
            source.method,
            message,
            deadline_s=deadline_s,
            limit=source.limit,
        )
        values = [protocol.to_value(reply, source.fields) for reply in replies]
        return values if method.server_streaming else values[0]

    async def resources(
        self,
        address: str,
        bundle: Opaque | None,
        source: CosiRead,
        wanted: str,
        now: float,
        deadline_s: float,
    ) -> Any:
        """One resource as {metadata, spec} (None when absent), or all of its type."""
        kind = protocol.cosi_types()[source.type]
        request = {"namespace": kind.namespace, "type": source.type}
        if source.verb == "get":
            request["id"] = wanted or kind.default_id
        method = protocol.methods()[f"{_STATE}/{'Get' if source.verb == 'get' else 'List'}"]
        try:
            replies = await self._client.call(
                address,
                self._identity(bundle, now),
                method.path,
                protocol.to_message(method, request),
                deadline_s=deadline_s,
            )
        except Missing:
            return None if source.verb == "get" else []
        found = [_resource(reply, kind.message, source.fields) for reply in replies]
        return found[0] if source.verb == "get" else found

    async def send(
        self,
        address: str,
        bundle: Opaque | None,
        method: str,
        request: Mapping[str, Any],
        now: float,
        *,
        deadline_s: float,
        exclusive: bool,
    ) -> Any:
        """Call a method that changes the node; the same errors as `read`, and `sent` is exact
        with `exclusive`.
        """
        known = protocol.methods()[method]
        message = protocol.to_message(known, reveal(request))
        replies = await self._client.call(
            address, self._identity(bundle, now), method, message, deadline_s=deadline_s, exclusive=exclusive
        )
        values = [protocol.to_value(reply, None) for reply in replies]
        return values if known.server_streaming else values[0]

    def _identity(self, bundle: Opaque | None, now: float) -> Any:
        return None if bundle is None else self._identities.of(bundle, now)


def _resource(reply: Any, message: str, fields: FieldTree | None) -> dict[str, Any]:
    spec = protocol.message_class(message).FromString(reply.resource.spec.proto_spec)
    wanted = fields or {}
    return {
        "metadata": protocol.to_value(reply.resource.metadata, wanted.get("metadata")),
        "spec": protocol.to_value(spec, wanted.get("spec")),
    }
