"""`talos.credentials.inspect`: whether a talosconfig or kubeconfig still opens the cluster.

Judges by the cluster's own secrets, without a call, and says when the certificate is to be renewed: after three
quarters of its life, however long that is. Never repeats a part of the credentials.
Neighbour: `engine.machineconfig.identity`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from engine.base.errors import CapabilityError
from engine.base.timestamps import rfc3339
from engine.base.values import reveal
from engine.capabilities.contract import Capability

if TYPE_CHECKING:
    from engine.machineconfig.certificates import Facts
    from engine.machineconfig.identity import Credentials
    from engine.machineconfig.secretsbundle import SecretsBundle

_RENEWED_AT = 0.75
_AHEAD_S = 86400.0
"""A machine whose clock is ahead of ours gives what is not valid yet here, and would give the same again and again."""
_OPAQUE = {"type": "string", "x-opaque": True}


def inspect(given: Mapping[str, Any], now: float) -> dict[str, Any]:
    """Compare with the issuer, the endpoints when given, and the time.

    `reason` is one word: Valid, Absent, Unreadable, OtherIssuer, OtherEndpoints, Expired or NotYetValid.
    What begins within a day is Valid. Raises CapabilityError (UnusableSecrets) when the issuer's bundle itself cannot be read.
    """
    from engine.machineconfig import certificates, identity, secretsbundle
    from engine.machineconfig.errors import ConfigError

    text = reveal(given["text"])
    if not text:
        return _verdict("Absent", None)
    try:
        bundle = secretsbundle.parse(reveal(given["issuer"]))
    except ConfigError as error:
        raise CapabilityError(
            str(error), operation=CAPABILITY.name, sent="no", code="UnusableSecrets"
        ) from None
    try:
        found = identity.read_credentials(text)
        facts = certificates.facts(found.client.crt)
        if not _issued_by(found, bundle):
            return _verdict("OtherIssuer", facts)
    except (ConfigError, certificates.CertificateError):
        return _verdict("Unreadable", None)
    endpoints = given.get("endpoints")
    if endpoints is not None and set(found.endpoints) != set(endpoints):
        return _verdict("OtherEndpoints", facts)
    if now >= facts.not_after:
        return _verdict("Expired", facts)
    return _verdict("NotYetValid" if now < facts.not_before - _AHEAD_S else "Valid", facts)


def _issued_by(found: Credentials, bundle: SecretsBundle) -> bool:
    from engine.machineconfig import certificates

    authority = bundle.os if found.kind == "talosconfig" else bundle.kubernetes
    return (
        found.ca.strip().startswith(authority.crt.strip())
        and certificates.signed_by(found.client.crt, authority.crt)
        and certificates.belongs(found.client.crt, found.client.key)
    )


def _verdict(reason: str, facts: Facts | None) -> dict[str, Any]:
    expires = renew = None
    if facts is not None:
        expires = rfc3339(facts.not_after)
        renew = rfc3339(facts.not_before + _RENEWED_AT * (facts.not_after - facts.not_before))
    return {"valid": reason == "Valid", "expires": expires, "renew": renew, "reason": reason}


CAPABILITY = Capability(
    name="talos.credentials.inspect",
    summary="Whether a talosconfig or kubeconfig is of this cluster, complete and not expired.",
    effect="pure",
    input={
        "type": "object",
        "required": ["text", "issuer"],
        "properties": {
            "text": {"type": ["string", "null"], "x-opaque": True},
            "issuer": _OPAQUE,
            "endpoints": {"type": "array", "items": {"type": "string"}},
        },
        "additionalProperties": False,
    },
    output={
        "type": "object",
        "required": ["valid", "expires", "renew", "reason"],
        "properties": {
            "valid": {"type": "boolean"},
            "expires": {"type": ["string", "null"]},
            "renew": {"type": ["string", "null"]},
            "reason": {"type": "string"},
        },
        "additionalProperties": False,
    },
    run=inspect,
)
