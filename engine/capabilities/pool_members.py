"""`talos.pool.members`: the machines of a pool with their addresses and merged specs.

A machine that is named by `machineRef` is looked up in whatever kind holds its address; one that
leads nowhere comes back without an address and with the reason, and never stops the others. What
belongs to one machine (image, patches, documents) is merged into the pool's MachineSpec.
Neighbours: the control plane and worker rules make one child of each entry.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Mapping
from typing import Any

from engine.base.addresses import canonical
from engine.base.errors import RemoteError
from engine.base.kinds import Key
from engine.capabilities.contract import Capability, Ports
from engine.capabilities.field_path import values_at

_NULLABLE_TEXT = {"type": ["string", "null"]}


async def members(ports: Ports, given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One entry a listed machine, in the order of the list; duplicates of an address once, however written."""
    pool = given.get("pool") or {}
    found = await asyncio.gather(
        *(
            _member(ports, machine, pool.get("machineSpec"), given["namespace"])
            for machine in pool.get("machines") or ()
        )
    )
    seen: set[str] = set()
    entries = []
    for entry in found:
        if entry["address"] is not None:
            address = canonical(entry["address"])
            if address in seen:
                continue
            seen.add(address)
        entries.append(entry)
    return entries


async def _member(
    ports: Ports, machine: Mapping[str, Any], shared: Mapping[str, Any] | None, namespace: str
) -> dict[str, Any]:
    address, error = machine.get("address"), None
    if address is None:
        address, error = await _resolve(ports, machine.get("machineRef") or {}, namespace)
    return {
        "address": address,
        "error": error,
        "version": machine.get("version"),
        "machineSpec": merged_spec(shared, machine),
        "pxeClientSpec": machine.get("pxeClientSpec"),
    }


def merged_spec(shared: Mapping[str, Any] | None, machine: Mapping[str, Any]) -> dict[str, Any] | None:
    """The pool's MachineSpec with the machine's own image, patches and documents; lists append."""
    own = {key: machine[key] for key in ("image", "configPatches", "additionalConfig") if machine.get(key)}
    if not own:
        return dict(shared) if shared is not None else None
    spec = dict(shared or {})
    if "image" in own:
        spec["image"] = own["image"]
    for key in ("configPatches", "additionalConfig"):
        if key in own:
            spec[key] = [*(spec.get(key) or ()), *own[key]]
    return spec


async def _resolve(ports: Ports, ref: Mapping[str, Any], namespace: str) -> tuple[str | None, str | None]:
    """The address that a reference leads to, or why it leads nowhere."""
    shown = f"{ref.get('kind', '?')} {ref.get('name', '?')}"
    path = ref.get("fieldPath") or ""
    if not path:
        return None, f"{shown}: machineRef.fieldPath is empty"
    try:
        found = await asyncio.to_thread(_fetch, ports, ref, namespace)
        values = values_at(found, path)
    except RemoteError as error:
        return None, f"{shown}: {error.message}"
    except ValueError as error:
        return None, f"{shown}: machineRef.fieldPath {path!r} cannot be read: {error}"
    value = values[0] if values else None
    if not isinstance(value, str) or not value:
        return None, f"{shown}: nothing at {path} yet"
    try:
        return str(ipaddress.ip_address(value)), None
    except ValueError:
        return None, f"{shown}: {value!r} at {path} is no IP address"


def _fetch(ports: Ports, ref: Mapping[str, Any], namespace: str) -> Mapping[str, Any]:
    kind = ports.kube.kind_named(ref.get("apiVersion", "v1"), ref.get("kind", ""))
    return ports.kube.get(
        Key(kind, ref.get("namespace") or namespace if kind.namespaced else "", ref.get("name", ""))
    )


CAPABILITY = Capability(
    name="talos.pool.members",
    summary="The machines of a pool with their addresses and merged specs.",
    effect="read",
    deadline_s=10.0,
    input={
        "type": "object",
        "properties": {"pool": {"type": "object"}, "namespace": {"type": "string"}},
        "required": ["namespace"],
        "additionalProperties": False,
    },
    output={
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "address": _NULLABLE_TEXT,
                "error": _NULLABLE_TEXT,
                "version": _NULLABLE_TEXT,
                "machineSpec": {"type": ["object", "null"]},
                "pxeClientSpec": {"type": ["object", "null"]},
            },
            "required": ["address", "error", "version", "machineSpec", "pxeClientSpec"],
        },
    },
    start=members,
)
