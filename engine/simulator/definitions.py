"""The ResourceDefinitions that every machine publishes: how clients find namespaces and aliases.

Computed once from the protocol's table of resource types, shared by all machines.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from engine.protocol import CosiType, cosi_types
from engine.simulator.resources import ResourceStore, Spec

DEFINITIONS: Final = "ResourceDefinitions.meta.cosi.dev"


@cache
def definitions() -> ResourceStore:
    """A store with one definition per known type."""
    store = ResourceStore()
    store.sync(
        {(DEFINITIONS, kind.lower()): _definition(kind, known) for kind, known in cosi_types().items()}
    )
    return store


def _definition(kind: str, known: CosiType) -> Spec:
    plural, _, group = kind.partition(".")
    display = _singular(plural)
    aliases = [plural.lower(), display.lower(), f"{plural}.{group.partition('.')[0]}".lower()]
    return {
        "resource_type": kind,
        "display_type": display,
        "default_namespace": known.namespace,
        "aliases": [],
        "all_aliases": list(dict.fromkeys(aliases)),
        "sensitivity": "SENSITIVE" if known.sensitive else "NON_SENSITIVE",
    }


def _singular(plural: str) -> str:
    if plural.endswith("ses"):
        return plural.removesuffix("es")
    if plural.endswith("ies"):
        return plural.removesuffix("ies") + "y"
    return plural.removesuffix("s")
