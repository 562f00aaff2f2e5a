"""`store.open`: the store that a resource asks for, with the credentials that it names.

Credentials are read from Secrets of the resource's own namespace and leave only inside the handle. A directory is
taken below the operator's own one, so no resource reaches its other files. Sends nothing to the store.
Neighbours: `stores` knows what a handle is, `secret_keys` reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from engine.base.errors import CapabilityError, RemoteError
from engine.base.values import Opaque
from engine.capabilities.asking import OPAQUE, TEXT, form
from engine.capabilities.contract import Capability, Ports, Schema
from engine.capabilities.secret_keys import SELECTOR, SecretKeys
from engine.capabilities.stores import LOOK_S, beside, handle_of
from engine.ports.stores.contract import checked_key
from engine.ports.stores.s3place import S3Place, checked_place

_NAME: Final = "store.open"
_MAYBE_TEXT: Final[Schema] = {"type": ["string", "null"]}

STORAGE: Final[Schema] = {
    "type": "object",
    "properties": {
        "s3": {
            "type": ["object", "null"],
            "properties": {
                "bucket": TEXT,
                "region": TEXT,
                "endpoint": _MAYBE_TEXT,
                "accessKeyID": SELECTOR,
                "secretAccessKey": SELECTOR,
                "certificateAuthority": SELECTOR,
                "insecureSkipTLSVerify": {"type": ["boolean", "null"]},
            },
            "additionalProperties": False,
        },
        "directory": {
            "type": ["object", "null"],
            "properties": {"path": _MAYBE_TEXT},
            "additionalProperties": False,
        },
    },
    "additionalProperties": False,
}


async def open_store(ports: Ports, given: Mapping[str, Any]) -> Opaque:
    """The handle. Raises Missing (SecretNotFound, SecretKeyMissing) or CapabilityError (InvalidStorage, NoDirectory)."""
    secrets = SecretKeys(ports.kube, given["namespace"])
    try:
        place = await beside(lambda: place_of(given["storage"], secrets, given.get("root")))
    except RemoteError as error:
        error.operation = error.operation or _NAME
        raise
    if ports.talos.loopback_only and isinstance(place, S3Place) and not place.is_loopback:
        message = "s3.endpoint: with simulated machines no store but one on a loopback address is used"
        raise CapabilityError(message, operation=_NAME, sent="no", code="LoopbackOnly")
    return handle_of(place)


def place_of(storage: Mapping[str, Any], secrets: SecretKeys, root: str | None) -> S3Place | Path:
    """Where the storage of a resource is; `root` is the directory that stores in directories stand below."""
    s3, directory = storage.get("s3"), storage.get("directory")
    if s3 and directory:
        raise _invalid("s3 and directory are both set; name one store")
    if s3:
        return _bucket(s3, secrets)
    if directory is None:
        raise _invalid("neither s3 nor directory is set; name a store")
    if not root:
        message = "directory: the operator has no directory for backups; start it with --backup-directory DIR"
        raise CapabilityError(message, sent="no", code="NoDirectory")
    path = str(directory.get("path") or "")
    return Path(root) / checked_key(path) if path else Path(root)


def _bucket(s3: Mapping[str, Any], secrets: SecretKeys) -> S3Place:
    return checked_place(
        S3Place(
            bucket=str(s3.get("bucket") or ""),
            region=str(s3.get("region") or ""),
            endpoint=str(s3.get("endpoint") or ""),
            access_key=secrets.text(s3.get("accessKeyID"), "s3.accessKeyID"),
            secret_key=secrets.text(s3.get("secretAccessKey"), "s3.secretAccessKey"),
            authority=secrets.text(s3.get("certificateAuthority"), "s3.certificateAuthority"),
            skip_verify=bool(s3.get("insecureSkipTLSVerify")),
        )
    )


def _invalid(message: str) -> CapabilityError:
    return CapabilityError(message, sent="no", code="InvalidStorage")


CAPABILITY = Capability(
    name=_NAME,
    summary="A handle to the store that a resource asks for, with the credentials that it names.",
    effect="read",
    deadline_s=LOOK_S,
    input=form({"storage": STORAGE, "namespace": TEXT, "root": _MAYBE_TEXT}, optional=frozenset({"root"})),
    output=OPAQUE,
    start=open_store,
)
