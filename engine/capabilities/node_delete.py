"""`kube.node.delete`: take the Node of a machine that has left out of its cluster's own Kubernetes API.

The Node is found by the machine's address, so that a machine that cannot be asked any more is found too. The
server that the kubeconfig names is asked first, then each of the given ones. With `patient` a cluster that does
not answer is an error, to be tried again; without it that is told and the Node is left where it is.
Never drains, never touches a Node without that address. Neighbour: `engine.ports.kube.clusters`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from engine.base.addresses import bracketed, canonical
from engine.base.errors import CapabilityError, Missing, RemoteError
from engine.base.kinds import Key, Kind
from engine.base.values import reveal
from engine.capabilities.asking import OPAQUE, TEXT, TEXTS, form
from engine.capabilities.contract import Capability, Ports

if TYPE_CHECKING:
    from engine.ports.kube.client import KubeClient
    from engine.ports.kube.clusters import Administrator

_NAME: Final = "kube.node.delete"
_NODE: Final = Kind("", "v1", "Node", "nodes", namespaced=False)
_ADDRESSES: Final = frozenset({"InternalIP", "ExternalIP"})
_DEADLINE_S: Final = 5.0
_PORT: Final = 6443


async def delete(ports: Ports, given: Mapping[str, Any]) -> dict[str, Any]:
    """The names of the Nodes that were deleted; `told`: these, or why none could be.

    Raises CapabilityError (UnusableKubeconfig), and when patient what the last server's failure was.
    """
    try:
        nodes = await asyncio.to_thread(_delete, ports, given)
    except RemoteError as error:
        if given["patient"]:
            raise
        return {"done": True, "nodes": [], "told": f"it is left there: {error}"}
    return {"done": True, "nodes": nodes, "told": ", ".join(nodes) or "there is none"}


def _delete(ports: Ports, given: Mapping[str, Any]) -> list[str]:
    who, servers = _credentials(given)
    last: RemoteError | None = None
    for server in servers:
        try:
            client = ports.clusters.client(server, who, deadline_s=_DEADLINE_S)
        except RemoteError as error:
            last = error
            continue
        try:
            return list(_deleted(client, given["address"]))
        except RemoteError as error:
            last = error
        finally:
            client.close()
    raise last or CapabilityError("no server to ask", operation=_NAME, sent="no", code="NoServers")


def _credentials(given: Mapping[str, Any]) -> tuple[Administrator, list[str]]:
    """Who we are, and where to ask: each server once, the machine itself never."""
    from engine.machineconfig.errors import ConfigError
    from engine.machineconfig.identity import read_credentials
    from engine.ports.kube.clusters import Administrator

    try:
        found = read_credentials(reveal(given["kubeconfig"]))
    except ConfigError as error:
        raise CapabilityError(str(error), operation=_NAME, sent="no", code="UnusableKubeconfig") from None
    others = [_url(address) for address in given["servers"]]
    named = [url for url in (*found.endpoints, *others) if url != _url(given["address"])]
    return Administrator(found.ca, found.client.crt, found.client.key), list(dict.fromkeys(named))


def _deleted(client: KubeClient, address: str) -> Iterator[str]:
    wanted = canonical(address)
    for page in client.list_pages(_NODE, limit=500):
        for node in page.items:
            entries = (node.get("status") or {}).get("addresses") or ()
            if wanted not in {canonical(each["address"]) for each in entries if each["type"] in _ADDRESSES}:
                continue
            name = node["metadata"]["name"]
            try:
                client.delete(Key(_NODE, "", name), uid=node["metadata"]["uid"])
            except Missing:
                continue
            yield name


def _url(address: str) -> str:
    return f"https://{bracketed(address)}:{_PORT}"


CAPABILITY = Capability(
    name=_NAME,
    summary="Delete the Node of a machine that has left, in its own cluster.",
    effect="write",
    deadline_s=60.0,
    input=form(
        {
            "kubeconfig": OPAQUE,
            "servers": TEXTS,
            "address": TEXT,
            "patient": {"type": "boolean"},
        }
    ),
    output=form({"done": {"type": "boolean"}, "nodes": TEXTS, "told": TEXT}),
    start=delete,
)
