"""Patches: what a user writes to change a generated configuration (talos-api 4.6, 4.7).

A patch is a list of steps (deletions and documents) or a list of JSON operations. Never changes a
Config; gives a new one. Raises ConfigError. Neighbours: `deletion`, `merge`, `jsonpatch`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from engine.machineconfig import deletion, jsonpatch
from engine.machineconfig.config import (
    API_VERSION,
    Config,
    Document,
    decode_document,
    duplicate,
    of_documents,
    of_values,
)
from engine.machineconfig.deletion import Deletion
from engine.machineconfig.errors import ConfigError
from engine.machineconfig.merge import merge, refuse_dates
from engine.machineconfig.model import V1ALPHA1
from engine.machineconfig.nodes import ListNode, MapNode, Node, from_value, is_null, parse, to_value

Step: TypeAlias = Deletion | Document


@dataclass(frozen=True, slots=True)
class StrategicPatch:
    """Deletions and documents in the order in which they take effect."""

    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class JsonPatch:
    """RFC 6902 operations, for a configuration of one document only."""

    operations: tuple[Mapping[str, Any], ...]


Patch: TypeAlias = StrategicPatch | JsonPatch


def load_patch(text: str, *, ahead: bool = False) -> Patch:
    """A patch from its text, for a configuration that is `ahead`: documents, or a list of JSON operations."""
    nodes = [node for node in parse(text) if not is_null(node)]
    if not nodes:
        return JsonPatch(())
    return _of_nodes(nodes, ahead)


def patch_of(value: Any, *, ahead: bool = False) -> Patch:
    """A patch from a JSON value: one document, or a list of operations."""
    return _of_nodes([from_value(value)], ahead)


def apply(config: Config, patch: Patch) -> Config:
    """The configuration after one patch. Raises ConfigError (NotFound, MergeConflict, Conflict)."""
    if isinstance(patch, JsonPatch):
        return _apply_json(config, patch)
    documents = {(document.kind, document.name): document for document in config.documents}
    for step in patch.steps:
        identity = step.kind, step.name
        known = documents.get(identity)
        if isinstance(step, Deletion):
            if step.api_version != API_VERSION:
                continue  # there is no such document, and what is absent may be deleted
            if known is not None and not step.path:
                del documents[identity]
            elif known is not None:
                value = deletion.apply(known.type, known.value, step)
                documents[identity] = Document(known.kind, known.name, known.type, value)
        elif known is None:
            documents[identity] = step
        else:
            documents[identity] = _merged(known, step)
    return of_documents(documents.values())


def _merged(known: Document, step: Document) -> Document:
    prefix = f"{known.title}: " if known.title else ""
    try:
        refuse_dates(known.type, known.value)
        value = merge(known.type, known.value, step.value)
    except ConfigError as error:
        raise ConfigError(error.reason, error.message, path=prefix + error.path) from None
    return Document(known.kind, known.name, known.type, value)


def _apply_json(config: Config, patch: JsonPatch) -> Config:
    if len(config.documents) > 1:
        message = "JSON patches work only on a configuration of a single document; write a strategic patch"
        raise ConfigError("Unsupported", message)
    plain = to_value(config.source) if config.source is not None else config.documents[0].plain()
    return of_values([jsonpatch.apply(plain, patch.operations)])


def _of_nodes(nodes: list[Node], ahead: bool) -> Patch:
    if isinstance(nodes[0], ListNode):
        return JsonPatch(tuple(to_value(item) for node in nodes for item in getattr(node, "items", ())))
    first: list[Step] = []
    later: list[Step] = []
    seen: set[tuple[str, str]] = set()
    for node in nodes:
        if not isinstance(node, MapNode):
            raise ConfigError(
                "Syntax", "a patch must be a mapping or a list of JSON operations", line=node.line
            )
        rest, deletions = deletion.extract(node)
        for found in deletions:
            # Deletions in the v1alpha1 document take effect before everything else (rule 16).
            (first if found.kind == V1ALPHA1 else later).append(found)
        if rest is not None and not _says_nothing(rest):
            document = decode_document(rest, ahead=ahead)
            if (document.kind, document.name) in seen:
                raise duplicate(document)
            seen.add((document.kind, document.name))
            later.append(document)
    if not first and not later:
        raise ConfigError("Invalid", "the patch says nothing")
    return StrategicPatch((*first, *later))


def _says_nothing(node: MapNode) -> bool:
    return {key.text for key, _ in node.entries} <= {"version", "kind", "name"}
