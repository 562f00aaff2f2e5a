"""Every method of the Talos API by its path, with what calling it does to the machine.

Shapes come from the descriptors, effects and replacements from schemas/talos/methods.yaml; the two must name the
same methods, which is checked when they are read. Neighbours: `pool`, and everyone who calls.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Literal, cast, get_args

from engine.base.assets import asset
from engine.base.yamlnodes import parse_document, plain
from engine.protocol.pool import Descriptor, services

Effect = Literal["read", "write", "disruptive", "irreversible"]
"""`write` can be undone, `disruptive` takes something away for a while, `irreversible` destroys."""


@dataclass(frozen=True, slots=True)
class Method:
    """One method. `path` is `package.Service/Name`; `deprecated` names its replacement, or is empty."""

    path: str
    service: str
    name: str
    input: Descriptor
    output: Descriptor
    client_streaming: bool
    server_streaming: bool
    deprecated: str
    effect: Effect


@cache
def methods() -> Mapping[str, Method]:
    """Path -> method, such as `machine.MachineService/Version`.

    Raises ValueError when methods.yaml and the .proto files disagree, which is a mistake of ours.
    """
    facts = _facts()
    found: dict[str, Method] = {}
    for service in services():
        for method in service.methods:
            path = f"{service.full_name}/{method.name}"
            if path not in facts:
                raise ValueError(f"schemas/talos/methods.yaml does not say what {path} does")
            effect, deprecated = facts.pop(path)
            found[path] = Method(
                path,
                service.full_name,
                method.name,
                method.input_type,
                method.output_type,
                method.client_streaming,
                method.server_streaming,
                deprecated,
                effect,
            )
    if facts:
        raise ValueError(
            f"schemas/talos/methods.yaml names methods that no .proto file has: {', '.join(facts)}"
        )
    return MappingProxyType(found)


def _facts() -> dict[str, tuple[Effect, str]]:
    path = asset("schemas", "talos", "methods.yaml")
    content = plain(parse_document(path.read_text(encoding="utf-8"), path.name))
    facts: dict[str, tuple[Effect, str]] = {}
    for service, by_effect in content["effects"].items():
        for effect, names in by_effect.items():
            if effect not in get_args(Effect):
                raise ValueError(f"{path.name}: {service}: `{effect}` is no effect")
            facts |= {f"{service}/{name}": (cast("Effect", effect), "") for name in names}
    for method, replacement in content["deprecated"].items():
        facts[method] = (facts[method][0], replacement)
    return facts
