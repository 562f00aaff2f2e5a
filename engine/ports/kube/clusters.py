"""Clients of other clusters than the one that the engine's objects live in: those that it made.

Only with a certificate: a kubeconfig that somebody else wrote may name programs and files, and is not for us.
Never keeps a connection. Neighbours: `client`, `access`; capabilities ask for a client and close it.
"""

from __future__ import annotations

import base64
import ipaddress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pykube

from engine.base.errors import SettingsError, Unreachable
from engine.base.tenure import Tenure
from engine.ports.kube.access import access_of
from engine.ports.kube.client import KubeClient
from engine.ports.kube.failures import SOURCE


@dataclass(frozen=True, slots=True)
class Administrator:
    """Who we are to a cluster, as PEM: its authority, our certificate and key."""

    authority: str
    certificate: str
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Clusters:
    """Opens clients, which write only within `tenure`. `loopback_only`: to no other address, for simulated machines."""

    loopback_only: bool
    tenure: Tenure | None = None

    def client(self, server: str, who: Administrator, *, deadline_s: float) -> KubeClient:
        """A client of the API server at this URL; sends nothing yet.

        Raises Unreachable, nothing sent, for what may not be dialled or is no URL of a server.
        """
        host = _host(server)
        if self.loopback_only and not _is_loopback(host):
            message = "only loopback addresses are dialled while machines are simulated"
            raise Unreachable(message, source=server, sent="no", code="NotLoopback")
        user = {"client-certificate-data": _encoded(who.certificate), "client-key-data": _encoded(who.key)}
        cluster = {"server": server, "certificate-authority-data": _encoded(who.authority)}
        document = {
            "current-context": "it",
            "clusters": [{"name": "it", "cluster": cluster}],
            "users": [{"name": "it", "user": user}],
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        }
        try:
            access = access_of(pykube.KubeConfig(document), Path(), pool_size=1)
        except (SettingsError, ValueError, OSError) as error:
            message = f"its credentials are unusable ({type(error).__name__})"
            raise Unreachable(message, source=SOURCE, sent="no", code="InvalidCredentials") from error
        return KubeClient(access, deadline_s=deadline_s, tenure=self.tenure)


def _host(server: str) -> str:
    try:
        parts = urlsplit(server)
        host = parts.hostname or ""
    except ValueError:
        host = ""
    if not host or parts.scheme != "https":
        raise Unreachable("is no https URL", source=server, sent="no", code="InvalidAddress")
    return host


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
