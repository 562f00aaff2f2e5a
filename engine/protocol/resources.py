"""The resources that machines publish over COSI: type -> namespace, message of the spec, usual id.

The table is schemas/talos/resources.yaml. A machine offers many more types; only what the table names can be read
by its fields. Neighbours: `pool`, `ruleset` (checks), the engine's node reader, the simulator.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from engine.base.assets import asset
from engine.base.yamlnodes import parse_document, plain


@dataclass(frozen=True, slots=True)
class CosiType:
    """One resource type.

    `message` is the full name of the message in `proto_spec`; `default_id` is empty when a type has many objects;
    `sensitive` ones are given to administrators only and must not reach a status or a metric.
    """

    namespace: str
    message: str
    default_id: str = ""
    sensitive: bool = False


@cache
def cosi_types() -> Mapping[str, CosiType]:
    """Type such as `MachineStatuses.runtime.talos.dev` -> what is known of it."""
    path = asset("schemas", "talos", "resources.yaml")
    content = plain(parse_document(path.read_text(encoding="utf-8"), path.name))
    return MappingProxyType(
        {
            name: CosiType(
                entry["namespace"], entry["spec"], entry.get("id", ""), bool(entry.get("sensitive"))
            )
            for name, entry in content["types"].items()
        }
    )
