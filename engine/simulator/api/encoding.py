"""A resource as its protobuf and YAML forms: what COSI puts on the wire (talos-api 1.6)."""

from __future__ import annotations

import re
from typing import Any, Final, cast

import yaml

from engine.protocol import Descriptor, Message, cosi_types, message_class, to_message, to_value
from engine.simulator.api.call import Value, timestamp
from engine.simulator.resources import Resource

_CONFIG: Final = "MachineConfigs.config.talos.dev"
_PREFIXES: Final = ("MACHINE_STAGE_", "TYPE_", "VOLUME_PHASE_")


def message_of(name: str, value: Value) -> Message:
    """A message of a type by its full name."""
    return to_message(cast(Descriptor, message_class(name).DESCRIPTOR), value)


def encoded(resource: Resource) -> Value:
    """A cosi.resource.Resource with both specs filled."""
    known = cosi_types()[resource.type]
    message = message_of(known.message, resource.spec)
    if resource.type == _CONFIG:
        text = yaml.safe_dump(resource.spec["yaml_marshalled"].decode(), default_style="|")
        annotations = {"talos.dev/yaml-spec": "true"}
    else:
        text, annotations = yaml.safe_dump(_camel(to_value(message)), sort_keys=False), {}
    metadata = {
        "namespace": known.namespace,
        "type": resource.type,
        "id": resource.id,
        "version": str(resource.version),
        "owner": "simulator",
        "phase": "running",
        "created": timestamp(resource.created),
        "updated": timestamp(resource.updated),
        "annotations": annotations,
    }
    return {"metadata": metadata, "spec": {"proto_spec": message.SerializeToString(), "yaml_spec": text}}


def _camel(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            re.sub(r"_(\w)", lambda found: found[1].upper(), key): _camel(item) for key, item in value.items()
        }
    if isinstance(value, list):
        return [_camel(item) for item in value]
    if isinstance(value, str):
        return _enumeration(value)
    return value


def _enumeration(text: str) -> str:
    for prefix in _PREFIXES:
        if text.startswith(prefix):
            word = text.removeprefix(prefix).lower()
            return word.replace("_", " ") if prefix == "MACHINE_STAGE_" else word.replace("_", "")
    return {"CONTROL_PLANE": "controlplane", "WORKER": "worker", "UNKNOWN": "unknown"}.get(text, text)
