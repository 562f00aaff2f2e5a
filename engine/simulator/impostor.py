"""The wrong server certificates that a machine can be told to show.

Each is wrong in one way only: the others of its facts are those of the machine's real
certificate. Neighbours: `interventions` orders one, `front` shows it.
"""

from __future__ import annotations

import ssl
import time
from typing import Final

from engine.machineconfig.certificates import issue_server_certificate, make_authority
from engine.simulator.life import signing_authority
from engine.simulator.machine import Machine
from engine.simulator.tls import server_context

KINDS: Final = ("foreign", "expired", "wrong-name")
_DAY_S: Final = 86400.0
_ELSEWHERE: Final = "192.0.2.1"


def impostor(machine: Machine, kind: str) -> ssl.SSLContext:
    """A context that shows a certificate of a foreign authority, of yesterday, or for another address.

    Raises ValueError when the kind is unknown, or when the machine has nobody who could sign it one.
    """
    if kind not in KINDS:
        raise ValueError(f"kind {kind!r}: one of {', '.join(KINDS)}")
    config, now = machine.config, time.time()
    authority = make_authority("ed25519", "talos", now=now) if kind == "foreign" else None
    authority = authority or (signing_authority(machine) if config else None)
    if authority is None:
        raise ValueError(f"{machine.address} has no authority now that could sign a certificate")
    leaf = issue_server_certificate(
        authority,
        addresses=[_ELSEWHERE if kind == "wrong-name" else machine.address],
        names=["elsewhere"] if kind == "wrong-name" else [machine.hostname],
        now=now - 2 * _DAY_S if kind == "expired" else now,
    )
    return server_context(leaf, [config.os_authority.crt, *config.accepted] if config else ())
