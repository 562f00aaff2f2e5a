"""Read what a resource names in a Secret: `{name, key}` in the resource's own namespace.

What is missing is told by field, Secret and key; a content is never told. Not an ability itself. Neighbours:
`store_open`, `store_put_secret`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from engine.base.errors import CapabilityError, Missing
from engine.base.kinds import Key, Kind
from engine.capabilities.contract import Schema

if TYPE_CHECKING:
    from engine.ports.kube.client import KubeClient

SELECTOR: Final[Schema] = {
    "type": ["object", "null"],
    "properties": {
        "name": {"type": ["string", "null"]},
        "key": {"type": "string"},
        "optional": {"type": ["boolean", "null"]},
    },
    "additionalProperties": False,
}
"""A SecretKeySelector, as Kubernetes calls it."""

_SECRET: Final = Kind("", "v1", "Secret", "secrets", namespaced=True)


class SecretKeys:
    """Secrets of one namespace, each read once and live."""

    def __init__(self, kube: KubeClient, namespace: str) -> None:
        self._kube, self._namespace = kube, namespace
        self._read: dict[str, Mapping[str, Any]] = {}

    def secret(self, name: str, field: str) -> Mapping[str, Any]:
        """The Secret itself; raises Missing (SecretNotFound) naming the field that asks for it."""
        if not name:
            message = f"{field}: names no Secret; set its name"
            raise CapabilityError(message, sent="no", code="InvalidStorage")
        if name not in self._read:
            try:
                self._read[name] = self._kube.get(Key(_SECRET, self._namespace, name))
            except Missing:
                message = f"{field}: there is no Secret {name} in namespace {self._namespace}; create it"
                raise Missing(message, sent="yes", code="SecretNotFound") from None
        return self._read[name]

    def text(self, selector: Mapping[str, Any] | None, field: str) -> str:
        """What stands under the key, without line ends behind it; "" where it is optional and absent.

        Raises Missing (SecretNotFound, SecretKeyMissing) or CapabilityError (InvalidStorage).
        """
        if not selector:
            return ""
        name, key = str(selector.get("name") or ""), str(selector["key"])
        try:
            data = self.secret(name, field).get("data") or {}
        except Missing:
            if selector.get("optional"):
                return ""
            raise
        if key not in data:
            if selector.get("optional"):
                return ""
            held = ", ".join(sorted(data)) or "nothing"
            message = f"{field}: Secret {name} has no key {key}; it holds {held}"
            raise Missing(message, sent="yes", code="SecretKeyMissing")
        try:
            return base64.b64decode(data[key], validate=True).decode().rstrip("\r\n")
        except (binascii.Error, UnicodeDecodeError):
            message = f"{field}: key {key} of Secret {name} holds no text"
            raise CapabilityError(message, sent="yes", code="InvalidStorage") from None
