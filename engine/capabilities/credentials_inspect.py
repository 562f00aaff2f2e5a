"""`talos.credentials.inspect`: whether a talosconfig or kubeconfig still opens the cluster.

Judges by the cluster's own secrets, without a call. Never repeats a part of the credentials.
Neighbour: `engine.machineconfig.identity`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from engine.base.errors import CapabilityError
from engine.base.values import reveal
from engine.capabilities.contract import Capability

if TYPE_CHECKING:
    from engine.machineconfig.identity import Credentials
    from engine.machineconfig.secretsbundle import SecretsBundle

_OPAQUE = {"type": "string", "x-opaque": True}


def inspect(given: Mapping[str, Any], now: float) -> dict[str, Any]:
    """Compare with the issuer, the endpoints when given, and the time.

    `reason` is one word: Valid, Absent, Unreadable, OtherIssuer, OtherEndpoints, Expired or NotYetValid.
    Raises CapabilityError (UnusableSecrets) when the issuer's bundle itself cannot be read.
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
            return _verdict("OtherIssuer", facts.not_after)
    except (ConfigError, certificates.CertificateError):
        return _verdict("Unreadable", None)
    endpoints = given.get("endpoints")
    if endpoints is not None and set(found.endpoints) != set(endpoints):
        return _verdict("OtherEndpoints", facts.not_after)
    if now >= facts.not_after:
        return _verdict("Expired", facts.not_after)
    return _verdict("NotYetValid" if now < facts.not_before else "Valid", facts.not_after)


def _issued_by(found: Credentials, bundle: SecretsBundle) -> bool:
    from engine.machineconfig import certificates

    authority = bundle.os if found.kind == "talosconfig" else bundle.kubernetes
    return (
        found.ca.strip().startswith(authority.crt.strip())
        and certificates.signed_by(found.client.crt, authority.crt)
        and certificates.belongs(found.client.crt, found.client.key)
    )


def _verdict(reason: str, not_after: float | None) -> dict[str, Any]:
    expires = None
    if not_after is not None:
        expires = datetime.fromtimestamp(not_after, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"valid": reason == "Valid", "expires": expires, "reason": reason}


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
        "required": ["valid", "expires", "reason"],
        "properties": {
            "valid": {"type": "boolean"},
            "expires": {"type": ["string", "null"]},
            "reason": {"type": "string"},
        },
        "additionalProperties": False,
    },
    run=inspect,
)
