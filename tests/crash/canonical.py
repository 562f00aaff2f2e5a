"""O1, the end: objects, machines and the configurations on their disks, without what differs between any two runs.

The mask list, to be kept short: versions, uids, times, managed fields, random ids certificates and
digests of configurations, contents of Secrets (their keys stay), attempts of intents, `status.sent`, events and leases.
Pure. Neighbours: `trial` compares.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from typing import Any

from tests.crash.record import Object, Record

_UNSEEN = frozenset({"Event", "Lease", "Namespace", "CustomResourceDefinition"})
_METADATA = ("uid", "resourceVersion", "creationTimestamp", "managedFields", "deletionTimestamp")
_LONGEST = 160
_DIGESTS = ("talos.alperen.cloud/release",)
_MACHINE = ("stage", "type", "version", "installed", "configured", "powered", "ready", "system_disk")
_RANDOM = (
    (re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "UID"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z"), "TIME"),
    (re.compile(r"\bLS0tLS1[A-Za-z0-9+/]{80,}={0,2}"), "PEM"),
    (re.compile(r"(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{43}="), "ID"),
)


def canonical(record: Record) -> dict[str, Any]:
    """The world by object and machine, comparable between runs and slots."""
    world: dict[str, Any] = {}
    for each in record.sight.objects:
        if each["kind"] not in _UNSEEN:
            world[f"{each['kind']} {each['metadata']['name']}"] = _object(each)
    for address, documents in record.configurations.items():
        world[f"configuration of {address}"] = documents
    for machine in record.sight.machines:
        shown = {key: machine[key] for key in _MACHINE} | {"member": bool(machine["etcd_member"])}
        world[f"machine {machine['address']}"] = shown
    text = json.dumps(world, sort_keys=True).replace(record.prefix, "127.0.X")
    for pattern, word in _RANDOM:
        text = pattern.sub(word, text)
    told: dict[str, Any] = json.loads(text)
    return told


def _object(given: Object) -> Object:
    found = {key: value for key, value in given.items() if key != "apiVersion"}
    metadata = {key: value for key, value in given["metadata"].items() if key not in _METADATA}
    owners = [
        (one["kind"], one["name"], one.get("controller")) for one in metadata.pop("ownerReferences", ())
    ]
    annotations = metadata.get("annotations") or {}
    metadata["annotations"] = {key: "..." if key in _DIGESTS else text for key, text in annotations.items()}
    found["metadata"] = metadata | {"owners": sorted(map(str, owners))}
    if given["kind"] == "Secret":
        found["data"] = sorted(given.get("data") or ())
    elif given["kind"] == "ConfigMap":
        found["binaryData"] = {}
        found["data"] = {key: _plain(text) for key, text in (given.get("data") or {}).items()}
    if "status" in given:
        found["status"] = _status(given["status"])
    return found


def _plain(text: str) -> str:
    """The text behind base64, where it is such."""
    try:
        return base64.b64decode(text, validate=True).decode()
    except ValueError:
        return text


def _status(given: Object) -> Object:
    status = {
        key: "..." if key.endswith("Digest") else value for key, value in given.items() if key != "sent"
    }
    status["conditions"] = [
        {key: value for key, value in each.items() if key != "lastTransitionTime"}
        for each in given.get("conditions") or ()
    ]
    if "intents" in given:
        kept = [(each["key"], each["target"], each["done"]) for each in given["intents"]]
        status["intents"] = sorted(map(str, kept))
    return status


def differences(wanted: Any, found: Any, path: str = "") -> Iterator[str]:
    """Where two canonical worlds differ, as `path: wanted, found`."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        for key in sorted(wanted.keys() | found.keys()):
            at = f"{path}.{key}" if path else key
            if key not in found:
                yield f"{at}: missing"
            elif key not in wanted:
                yield f"{at}: not in the reference"
            else:
                yield from differences(wanted[key], found[key], at)
    elif wanted != found:
        yield f"{path}: {_short(wanted)} in the reference, {_short(found)} here"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "..."
