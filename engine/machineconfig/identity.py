"""What a client needs to talk to a cluster's machines, and to its Kubernetes API, out of its secrets.

Promises: certificates as Talos issues them (talos-api 3, 4.8, 4.9); PEM keys with Talos's label. Never
keeps anything. Neighbours: `secretsbundle`, `certificates`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from engine.machineconfig import certificates, secretsbundle
from engine.machineconfig.certificates import YEAR_S, Pair
from engine.machineconfig.config import load_plain
from engine.machineconfig.emit import write
from engine.machineconfig.errors import ConfigError
from engine.machineconfig.secretsbundle import SecretsBundle, encode_pem, encoded

ADMIN: Final = ("os:admin",)


def client_identity(
    bundle_text: str, *, roles: Sequence[str] = ADMIN, now: float, ttl_s: float = YEAR_S
) -> tuple[str, str, str]:
    """(ca, crt, key) as PEM: a client of the machines with these roles. Raises ConfigError."""
    bundle = secretsbundle.parse(bundle_text)
    pair = client_pair(bundle, roles=roles, now=now, ttl_s=ttl_s)
    return bundle.os.crt, pair.crt, pair.key


def client_pair(
    bundle: SecretsBundle, *, roles: Sequence[str] = ADMIN, now: float, ttl_s: float = YEAR_S
) -> Pair:
    """A client certificate and key signed by the bundle's OS authority."""
    return certificates.issue(bundle.os, now=now, ttl_s=ttl_s, organizations=roles or ADMIN, client=True)


def talosconfig(
    bundle: SecretsBundle, context: str, endpoints: Sequence[str], *, now: float, roles: Sequence[str] = ADMIN
) -> str:
    """A talosconfig of one context, with a certificate of a year; an administrator's unless `roles` say less."""
    pair = encoded(client_pair(bundle, now=now, roles=roles))
    entry = {"endpoints": list(endpoints), "ca": encode_pem(bundle.os.crt), **pair}
    return write({"context": context, "contexts": {context: entry}})


def admin_kubeconfig(
    authority: Pair,
    *,
    cluster: str,
    server: str,
    now: float,
    ttl_s: float = YEAR_S,
    accepted: Sequence[str] = (),
) -> str:
    """The kubeconfig that the Kubeconfig call answers with; `accepted` are further authorities (PEM)."""
    pair = certificates.issue(
        authority,
        now=now - 10,
        ttl_s=ttl_s + 10,
        common_name="admin",
        organizations=("system:masters",),
        client=True,
        encipherment=True,
    )
    user = f"admin@{cluster}"
    trusted = encode_pem(authority.crt + "".join(accepted))
    secret = encoded(pair)
    return write(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {"name": cluster, "cluster": {"server": server, "certificate-authority-data": trusted}}
            ],
            "users": [
                {
                    "name": user,
                    "user": {"client-certificate-data": secret["crt"], "client-key-data": secret["key"]},
                }
            ],
            "contexts": [
                {"context": {"cluster": cluster, "namespace": "default", "user": user}, "name": user}
            ],
            "current-context": user,
        }
    )


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a talosconfig or kubeconfig holds for its current context; PEM texts."""

    kind: str
    ca: str
    client: Pair
    endpoints: tuple[str, ...]


def read_credentials(text: str) -> Credentials:
    """Read a talosconfig or a kubeconfig. Raises ConfigError when it is neither or is incomplete."""
    documents = load_plain(text)
    document = documents[0] if len(documents) == 1 else None
    if not isinstance(document, Mapping):
        raise ConfigError("Invalid", "neither a talosconfig nor a kubeconfig")
    try:
        return _talos(document) if "context" in document else _kubernetes(document)
    except (KeyError, TypeError, AttributeError, StopIteration):
        raise ConfigError("Invalid", "the current context is incomplete") from None


def _talos(document: Mapping[str, Any]) -> Credentials:
    entry = document["contexts"][document["context"]]
    client = Pair(_decoded(entry["crt"]), _decoded(entry["key"]))
    return Credentials("talosconfig", _decoded(entry["ca"]), client, tuple(entry.get("endpoints") or ()))


def _kubernetes(document: Mapping[str, Any]) -> Credentials:
    context = _named(document, "contexts", document["current-context"])["context"]
    cluster = _named(document, "clusters", context["cluster"])["cluster"]
    user = _named(document, "users", context["user"])["user"]
    client = Pair(_decoded(user["client-certificate-data"]), _decoded(user["client-key-data"]))
    ca = _decoded(cluster["certificate-authority-data"])
    return Credentials("kubeconfig", ca, client, (str(cluster["server"]),))


def _named(document: Mapping[str, Any], section: str, name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = next(entry for entry in document[section] if entry["name"] == name)
    return found


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise ConfigError("Invalid", "a certificate or key is not base64 of PEM text") from None
