"""The schema and the rules of metadata, which every object shares.

Neighbours: `definitions` puts the schema into each kind, `admission` applies the checks.
"""

from __future__ import annotations

from typing import Any

from engine.standalone import failures
from engine.standalone.failures import Cause
from engine.standalone.schema.formats import matches

_STRING: dict[str, Any] = {"type": "string"}
_WORD: dict[str, Any] = {"type": "string", "minLength": 1}
_STRINGS: dict[str, Any] = {"type": "object", "additionalProperties": _STRING}
_TIME: dict[str, Any] = {"type": "string", "format": "date-time"}

OBJECT_META: dict[str, Any] = {
    "type": "object",
    "description": "Standard object metadata.",
    "properties": {
        "name": _STRING,
        "generateName": _STRING,
        "namespace": _STRING,
        "uid": _STRING,
        "selfLink": _STRING,
        "resourceVersion": _STRING,
        "generation": {"type": "integer", "format": "int64"},
        "creationTimestamp": _TIME,
        "deletionTimestamp": _TIME,
        "deletionGracePeriodSeconds": {"type": "integer", "format": "int64"},
        "labels": _STRINGS,
        "annotations": _STRINGS,
        "finalizers": {"type": "array", "x-kubernetes-list-type": "set", "items": _STRING},
        "ownerReferences": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["uid"],
            "items": {
                "type": "object",
                "x-kubernetes-map-type": "atomic",
                "required": ["apiVersion", "kind", "name", "uid"],
                "properties": {
                    "apiVersion": _WORD,
                    "kind": _WORD,
                    "name": _WORD,
                    "uid": _WORD,
                    "controller": {"type": "boolean"},
                    "blockOwnerDeletion": {"type": "boolean"},
                },
            },
        },
        "managedFields": {
            "type": "array",
            "x-kubernetes-list-type": "atomic",
            "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        },
    },
}

_SUBDOMAIN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
_LABEL = r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$"
_SUBDOMAIN_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start"
    " and end with an alphanumeric character"
)


def metadata_causes(metadata: dict[str, Any]) -> list[Cause]:
    """What is wrong with names, labels, finalizers and owner references."""
    name = metadata.get("name", "")
    found = []
    if not name:
        found.append(
            Cause(failures.REQUIRED, "metadata.name", "Required value: name or generateName is required")
        )
    elif len(name) > 253 or not matches(name, _SUBDOMAIN):
        found.append(Cause(failures.INVALID, "metadata.name", f'Invalid value: "{name}": {_SUBDOMAIN_TEXT}'))
    for field in ("labels", "annotations"):
        for key, value in (metadata.get(field) or {}).items():
            found += _key_causes(f"metadata.{field}", key)
            if field == "labels" and (len(value) > 63 or not matches(value, _LABEL)):
                text = f'Invalid value: "{value}": a valid label must be an empty string or consist of alphanumeric'
                text += " characters, '-', '_' or '.', at most 63 of them"
                found.append(Cause(failures.INVALID, "metadata.labels", text))
    owners = metadata.get("ownerReferences") or []
    if sum(bool(owner.get("controller")) for owner in owners) > 1:
        text = "Invalid value: Only one reference can have Controller set to true"
        found.append(Cause(failures.INVALID, "metadata.ownerReferences", text))
    return found


def _key_causes(path: str, key: str) -> list[Cause]:
    prefix, _, name = key.rpartition("/")
    good = 0 < len(name) <= 63 and matches(name, _LABEL)
    if good and (not prefix or matches(prefix.lower(), _SUBDOMAIN)) and not key.startswith("/"):
        return []
    text = f'Invalid value: "{key}": name part must consist of alphanumeric characters, with an optional DNS prefix'
    return [Cause(failures.INVALID, path, text)]
