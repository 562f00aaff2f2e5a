"""Who we are towards a node: a certificate authority to trust, a certificate and key to show.

Keys are given to the TLS library through memory only, never through a file on a disk. Source of
the key label: Talos writes PKCS#8 Ed25519 keys as `ED25519 PRIVATE KEY`, which OpenSSL does not
know. Neighbours: `dial` takes the context, the capabilities make identities of bundles.
"""

from __future__ import annotations

import hashlib
import os
import ssl
from dataclasses import dataclass, field
from functools import lru_cache

_TALOS_LABEL = "ED25519 PRIVATE KEY"


@dataclass(frozen=True, slots=True)
class Identity:
    """PEM texts: the authority that the node's certificate must come from, our certificate and key."""

    ca: str
    certificate: str
    key: str = field(repr=False)

    @property
    def digest(self) -> str:
        """Tells identities apart without saying anything about the key."""
        return hashlib.blake2b(f"{self.ca}\0{self.certificate}".encode(), digest_size=12).hexdigest()


@lru_cache(maxsize=256)
def context_for(identity: Identity | None) -> ssl.SSLContext:
    """The TLS settings for an identity, made once and shared; None: maintenance mode, nothing verified.

    Raises ssl.SSLError or ValueError when the PEM texts are no certificate or key.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["h2"])
    if identity is None:
        # A machine in maintenance mode has a certificate of its own making; only a pin could tell it apart.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    context.load_verify_locations(cadata=identity.ca)
    chain = identity.certificate.rstrip() + "\n" + identity.key.replace(_TALOS_LABEL, "PRIVATE KEY")
    descriptor = os.memfd_create("identity", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, chain.encode())
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
    return context
