"""MachineService calls on configuration, client certificates and META."""

from __future__ import annotations

import base64
import time
from typing import Final

import grpc
import yaml

from engine.machineconfig.certificates import issue
from engine.simulator.api.call import Call, Handler, Value, one
from engine.simulator.applying import apply
from engine.simulator.refusal import Refusal, invalid

_MODES: Final = {0: "REBOOT", 1: "AUTO", 2: "NO_REBOOT", 3: "STAGED", 4: "TRY"}


async def _apply(call: Call) -> Value:
    request = call.request
    if not call.machine.maintenance and not call.admin:
        raise Refusal(grpc.StatusCode.PERMISSION_DENIED, "not authorized")
    timeout = request.try_mode_timeout.seconds + request.try_mode_timeout.nanos / 1e9
    try:
        text = request.data.decode()
    except UnicodeDecodeError as error:
        raise invalid(f"yaml: {error}") from error
    return one(apply(call.machine, text, _MODES[request.mode], dry_run=request.dry_run, try_s=timeout))


async def _client_configuration(call: Call) -> Value:
    config, request = call.machine.config, call.request
    lifetime = request.crt_ttl.seconds + request.crt_ttl.nanos / 1e9
    if lifetime <= 0:
        raise invalid("crt_ttl should be positive")
    if config is None or not config.os_authority.key:
        raise Refusal(
            grpc.StatusCode.UNIMPLEMENTED, "generate client configuration needs a control plane node"
        )
    roles = list(request.roles)
    leaf = issue(config.os_authority, now=time.time(), ttl_s=lifetime, organizations=roles, client=True)
    name = f"{roles[0].removeprefix('os:')}@{config.cluster_name}" if len(roles) == 1 else config.cluster_name
    parts = {"ca": config.os_authority.crt, "crt": leaf.crt, "key": leaf.key}
    encoded = {part: base64.b64encode(text.encode()).decode() for part, text in parts.items()}
    talosconfig = {"context": name, "contexts": {name: {"endpoints": [], **encoded}}}
    return one({**parts, "talosconfig": yaml.safe_dump(talosconfig, sort_keys=False)})


async def _meta_write(call: Call) -> Value:
    key = call.request.key
    if key > 255:
        raise invalid("key must be a uint8")
    text = call.request.value.decode(errors="replace")
    call.machine.write(meta={**call.machine.disk.meta, key: text})
    return one()


async def _meta_delete(call: Call) -> Value:
    key, meta = call.request.key, dict(call.machine.disk.meta)
    if key not in meta:
        raise Refusal(grpc.StatusCode.NOT_FOUND, "meta key not found")
    del meta[key]
    call.machine.write(meta=meta)
    return one()


_SERVICE: Final = "machine.MachineService/"
METHODS: Final[dict[str, Handler]] = {
    _SERVICE + "ApplyConfiguration": _apply,
    _SERVICE + "GenerateClientConfiguration": _client_configuration,
    _SERVICE + "MetaWrite": _meta_write,
    _SERVICE + "MetaDelete": _meta_delete,
}
