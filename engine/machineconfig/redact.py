"""A configuration fit for eyes: secret values replaced (talos-config-rules 37).

Covers keys, tokens, passwords and passphrases; like Talos itself it does not look into contents
of files, environment or manifests. Never changes its input. Neighbour: `config`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from engine.machineconfig.config import Config, Document
from engine.machineconfig.emit import write_documents
from engine.machineconfig.encode import encode
from engine.machineconfig.model import AnyType, ListType, MapType, PointerType, StructType, Type
from engine.machineconfig.scalars import ScalarType

REPLACEMENT: Final = "******"
_SECRET_KEYS: Final = frozenset(
    (
        "token", "secret", "key", "passphrase", "password", "auth", "identityToken", "privateKey",
        "presharedKey", "apiToken", "uniqueToken", "aescbcEncryptionSecret", "secretboxEncryptionSecret", "clusterSecret",
    )
)  # fmt: skip


def redacted(config: Config) -> str:
    """The configuration's text with every secret replaced."""
    return write_documents(redacted_document(document) for document in config.documents)


def redacted_document(document: Document) -> dict[str, Any]:
    """One document as it is written, with every secret replaced."""
    written: dict[str, Any] = encode(document.type, _document(document))
    return written


def redacted_plain(value: Any) -> Any:
    """Plain values with the text under every key that names a secret replaced."""
    if isinstance(value, Mapping):
        return {
            key: REPLACEMENT if key in _SECRET_KEYS and _is_text(item) else redacted_plain(item)
            for key, item in value.items()
        }
    return [redacted_plain(item) for item in value] if isinstance(value, list) else value


def _document(document: Document) -> Any:
    if isinstance(document.type, AnyType):
        return redacted_plain(document.value)
    return _typed(document.type, document.value)


def _typed(kind: Type, value: Any) -> Any:
    if isinstance(kind, PointerType):
        return None if value is None else _typed(kind.target, value)
    if isinstance(kind, StructType):
        return {key: _field(key, kind.fields[key].type, item) for key, item in value.items()}
    if isinstance(kind, ListType):
        return [_typed(kind.item, item) for item in value]
    if isinstance(kind, MapType):
        return {key: _typed(kind.item, item) for key, item in value.items()}
    return value


def _field(key: str, kind: Type, value: Any) -> Any:
    target = kind.target if isinstance(kind, PointerType) else kind
    if not isinstance(target, ScalarType):
        return _typed(target, value)
    if target.name == "meta.URL":
        return _url(value)
    return REPLACEMENT if key in _SECRET_KEYS and _is_text(value) else value


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _url(text: str) -> str:
    parts = urlsplit(text)
    query = [
        (key, REPLACEMENT if "token" in key.lower() else value)
        for key, value in parse_qsl(parts.query, keep_blank_values=True)
    ]
    return urlunsplit(parts._replace(query=urlencode(query))) if query else text
