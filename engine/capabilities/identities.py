"""The engine's own identities towards machines: one client certificate a secrets bundle, kept and renewed.

Promises: an identity is of an administrator, outlives any pass by hours, and is made once for all
threads. Never writes one anywhere. Neighbours: `engine.machineconfig.identity` makes them,
`engine.ports.talos` presents them.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from engine.base.errors import CapabilityError
from engine.base.values import Opaque

if TYPE_CHECKING:
    from engine.ports.talos.identity import Identity

TTL_S: Final = 24 * 3600
RENEW_BEFORE_S: Final = 8 * 3600
# A node whose clock runs a little behind must not find the certificate in its future.
BACKDATE_S: Final = 300
CAPACITY: Final = 1024


class Identities:
    """Identities by bundle, at most `CAPACITY`; the least recently used go. Thread-safe."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[float, Identity]] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, bundle: Opaque, now: float) -> Identity:
        """The identity for the cluster of this bundle. Raises CapabilityError (UnusableSecrets)."""
        digest = bundle.digest()
        with self._lock:
            kept = self._kept.get(digest)
            if kept is not None and now < kept[0] - RENEW_BEFORE_S:
                self._kept.move_to_end(digest)
                return kept[1]
            identity = _issue(bundle, now)
            self._kept[digest] = now - BACKDATE_S + TTL_S, identity
            self._kept.move_to_end(digest)
            while len(self._kept) > CAPACITY:
                self._kept.popitem(last=False)
            return identity


def _issue(bundle: Opaque, now: float) -> Identity:
    from engine.machineconfig.errors import ConfigError
    from engine.machineconfig.identity import client_identity
    from engine.ports.talos.identity import Identity

    try:
        ca, certificate, key = client_identity(bundle.reveal(), now=now - BACKDATE_S, ttl_s=TTL_S)
    except ConfigError as error:
        raise CapabilityError(str(error), sent="no", code="UnusableSecrets") from None
    return Identity(ca=ca, certificate=certificate, key=key)
