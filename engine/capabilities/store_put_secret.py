"""`store.put.secret`: a Secret as a manifest in a store, for a restore to apply; optionally encrypted.

The Secret is read live, so its content passes through no rule. The manifest holds name, namespace, labels, type and data
alone. Encrypted it is a file that the tool `age` opens. Neighbours: `engine.machineconfig.sealing`, `stores`.
"""

from __future__ import annotations

import hashlib
import secrets as randomness
from collections.abc import Mapping
from typing import Any, Final

from engine.base import yamltext
from engine.base.errors import CapabilityError, RemoteError
from engine.capabilities.asking import OPAQUE, TEXT, form
from engine.capabilities.contract import Capability, Ports, Schema
from engine.capabilities.secret_keys import SELECTOR, SecretKeys
from engine.capabilities.stores import beside, opened

_NAME: Final = "store.put.secret"
_DEADLINE_S: Final = 60.0

ENCRYPTION: Final[Schema] = {
    "type": ["object", "null"],
    "properties": {
        "recipients": {"type": ["array", "null"], "items": {"type": "string"}},
        "passphrase": SELECTOR,
    },
    "additionalProperties": False,
}


async def put(ports: Ports, given: Mapping[str, Any]) -> dict[str, Any]:
    """Size and digest of what was stored. Raises Missing (SecretNotFound, SecretKeyMissing), CapabilityError
    (CannotEncrypt) with nothing stored, and any RemoteError of the store.
    """
    return await beside(lambda: _put(ports, given))


def _put(ports: Ports, given: Mapping[str, Any]) -> dict[str, Any]:
    secrets = SecretKeys(ports.kube, given["namespace"])
    try:
        text = manifest(secrets.secret(given["name"], "name"))
        data = _sealed(text.encode(), given.get("encryption") or {}, secrets)
    except RemoteError as error:
        error.operation = error.operation or _NAME
        raise
    opened(given["store"]).put(given["key"], data)
    return {"size": len(data), "sha256": hashlib.sha256(data).hexdigest(), "told": given["key"]}


def manifest(secret: Mapping[str, Any]) -> str:
    """What `kubectl apply` makes the Secret of."""
    metadata = secret.get("metadata") or {}
    kept = {name: metadata[name] for name in ("name", "namespace", "labels") if metadata.get(name)}
    whole = {
        "apiVersion": secret.get("apiVersion") or "v1",
        "kind": secret.get("kind") or "Secret",
        "metadata": kept,
        "type": secret.get("type") or "Opaque",
        "data": dict(sorted((secret.get("data") or {}).items())),
    }
    return yamltext.dump(whole)


def _sealed(data: bytes, encryption: Mapping[str, Any], secrets: SecretKeys) -> bytes:
    recipients, passphrase = encryption.get("recipients"), encryption.get("passphrase")
    if not encryption:
        return data
    # Nothing is stored in the clear because a word of the wish was not understood.
    if bool(recipients) == bool(passphrase):
        raise _cannot("name either recipients or a passphrase")
    from engine.machineconfig import sealing

    try:
        if recipients:
            return sealing.seal_for(data, recipients)
        text = secrets.text(passphrase, "encryption.passphrase")
        return sealing.seal_with(data, text, randomness.token_bytes)
    except sealing.SealingError as error:
        raise _cannot(str(error)) from None


def _cannot(why: str) -> CapabilityError:
    return CapabilityError(f"encryption: {why}; nothing was stored", sent="no", code="CannotEncrypt")


CAPABILITY = Capability(
    name=_NAME,
    summary="Store a Secret as a manifest, encrypted if that is wanted.",
    effect="write",
    deadline_s=_DEADLINE_S,
    input=form(
        {"store": OPAQUE, "key": TEXT, "namespace": TEXT, "name": TEXT, "encryption": ENCRYPTION},
        optional=frozenset({"encryption"}),
    ),
    output=form({"size": {"type": "integer"}, "sha256": TEXT, "told": TEXT}),
    start=put,
)
