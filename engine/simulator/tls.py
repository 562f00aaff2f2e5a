"""TLS as a Talos machine does it: Ed25519 certificates, ALPN h2, no tickets (talos-api 2.1).

Keys go to OpenSSL through a memory file, never through the file system. Neighbours: `front`
speaks with the contexts made here.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Sequence

from engine.machineconfig.certificates import Pair, facts, relabel


def server_context(
    pair: Pair, client_authorities: Sequence[str] = (), *, protocol: str = "h2", demanded: bool = True
) -> ssl.SSLContext:
    """A server's context; with `client_authorities` (PEM) a client certificate is verified, and `demanded`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.num_tickets = 0
    context.set_alpn_protocols([protocol])
    descriptor = os.memfd_create("certificate")
    try:
        os.write(descriptor, (pair.crt + relabel(pair.key)).encode())
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
    if client_authorities:
        context.verify_mode = ssl.CERT_REQUIRED if demanded else ssl.CERT_OPTIONAL
        context.load_verify_locations(cadata="\n".join(client_authorities))
    return context


def client_roles(tls: ssl.SSLObject) -> frozenset[str] | None:
    """The roles in the verified client certificate; None when it is no pure client certificate.

    Talos accepts only an extended usage of exactly clientAuth; empty organizations are skipped.
    """
    der = tls.getpeercert(binary_form=True)
    if der is None:
        return frozenset()
    found = facts(ssl.DER_cert_to_PEM_cert(der))
    if not found.client or found.server:
        return None
    return frozenset(name for name in found.organizations if name)
