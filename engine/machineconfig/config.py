"""A machine configuration: typed documents, the v1alpha1 one first.

Promises: strict loading (talos-api 4.5), one document a kind and name, names that rival kinds do
not share. Immutable. Never validates meanings (`validate`) or fills defaults (`generate`).
Neighbours: `decode`, `encode`, `patch`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Final

from engine.machineconfig.decode import decode
from engine.machineconfig.emit import write_documents
from engine.machineconfig.encode import encode
from engine.machineconfig.errors import ConfigError
from engine.machineconfig.model import V1ALPHA1, AnyType, StructType, model
from engine.machineconfig.nodes import MapNode, Node, from_value, is_null, parse, to_value

API_VERSION: Final = "v1alpha1"
_HEAD: Final = ("apiVersion", "kind", "name")
_MARKS: Final = ("machine", "cluster", "debug", "persist")


@dataclass(frozen=True, slots=True)
class Document:
    """One document. `kind` is `v1alpha1` for the one without a kind; `name` is "" where it has none."""

    kind: str
    name: str
    type: StructType | AnyType
    value: dict[str, Any] = field(repr=False)
    line: int = 0

    @property
    def title(self) -> str:
        """How errors name it: "" for v1alpha1, else `Kind` or `Kind/name`."""
        return title(self.kind, self.name)

    def plain(self) -> dict[str, Any]:
        """The document as it is written; what tells documents apart comes first."""
        written: dict[str, Any] = encode(self.type, self.value)
        if isinstance(self.type, AnyType):
            return {key: written[key] for key in _HEAD if key in written} | written
        return written


@dataclass(frozen=True, slots=True)
class Config:
    """All documents of one machine."""

    documents: tuple[Document, ...]
    source: Node | None = field(default=None, repr=False, compare=False)
    """The only document as it was read: what a JSON patch works on (talos-config-rules 28, 29)."""

    @property
    def ahead(self) -> bool:
        """Whether it holds kinds of the Talos version after the model's, and is read by what is known of that."""
        return any(model().is_untyped(document.kind) for document in self.documents)

    def find(self, kind: str, name: str = "") -> Document | None:
        """The document of that kind and name, or None."""
        return next((doc for doc in self.documents if (doc.kind, doc.name) == (kind, name)), None)

    @property
    def main(self) -> dict[str, Any]:
        """The value of the v1alpha1 document; empty when there is none."""
        found = self.find(V1ALPHA1)
        return found.value if found else {}

    def plain(self) -> list[dict[str, Any]]:
        """The documents as they are written."""
        return [document.plain() for document in self.documents]

    def text(self) -> str:
        """The configuration as YAML."""
        return write_documents(self.plain())


def title(kind: str, name: str) -> str:
    """`Kind/name`, `Kind`, or "" for the v1alpha1 document."""
    shown = "" if kind == V1ALPHA1 else kind
    return f"{shown}/{name}" if name else shown


@lru_cache(maxsize=16)
def load(text: str) -> Config:
    """Parse, decode and check a configuration. Raises ConfigError at the first mistake.

    The last few are kept, since the one that a machine runs is asked for its disk, then compared.
    """
    nodes = [node for node in parse(text) if not is_null(node)]
    return replace(_of_nodes(nodes), source=nodes[0] if len(nodes) == 1 else None)


def _of_nodes(nodes: Sequence[Node]) -> Config:
    kinds = [scalar_of(node, "kind") for node in nodes if isinstance(node, MapNode)]
    ahead = any(model().is_untyped(kind) for kind in kinds)
    return of_documents(decode_document(node, ahead=ahead) for node in nodes)


def load_plain(text: str) -> list[Any]:
    """The documents of any YAML text as plain values, without a look at what they mean."""
    return [to_value(node) for node in parse(text) if not is_null(node)]


def of_values(documents: Iterable[Any]) -> Config:
    """A configuration from JSON values, one a document."""
    return _of_nodes([from_value(document) for document in documents])


def of_documents(documents: Iterable[Document]) -> Config:
    """Order and check documents. Raises ConfigError (Duplicate, Conflict, Invalid)."""
    found: dict[tuple[str, str], Document] = {}
    for document in documents:
        identity = document.kind, document.name
        if identity in found:
            raise duplicate(document)
        found[identity] = document
    if not found:
        raise ConfigError("Invalid", "the text holds no configuration document")
    ordered = sorted(found.values(), key=lambda document: document.kind != V1ALPHA1)
    _check_rivals(ordered)
    return Config(tuple(ordered))


def duplicate(document: Document) -> ConfigError:
    """The error for a document that is there already."""
    name = document.title or "v1alpha1"
    return ConfigError("Duplicate", f"the document {name} is given twice", path=name, line=document.line)


def decode_document(node: Node, *, ahead: bool = False) -> Document:
    """The typed document of a node, for a configuration that is `ahead`. Raises ConfigError."""
    if not isinstance(node, MapNode):
        raise ConfigError("Syntax", "a document must be a mapping", line=node.line)
    kind, name = identity(node)
    kind_type = model(ahead=ahead).document(kind)
    if kind_type is None:
        near = difflib.get_close_matches(kind, model().kinds(), n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ConfigError("UnknownKind", f"unknown document kind{hint}", path=kind, line=node.line)
    path = "" if kind == V1ALPHA1 else f"{title(kind, name)}: "
    value = _decode(kind_type, node, path)
    return Document(kind, name if model().is_named(kind) else "", kind_type, value, node.line)


def _decode(kind: StructType | AnyType, node: MapNode, prefix: str) -> dict[str, Any]:
    try:
        value: dict[str, Any] = decode(kind, node)
    except ConfigError as error:
        raise ConfigError(error.reason, error.message, path=prefix + error.path, line=error.line) from None
    return value


def identity(node: MapNode) -> tuple[str, str]:
    """(kind, name) of a document. Raises ConfigError when it has neither kind nor the keys of v1alpha1."""
    kind, version = scalar_of(node, "kind"), scalar_of(node, "apiVersion")
    if not kind and any(node.get(key) for key in _MARKS):
        return V1ALPHA1, ""
    if not kind or not version:
        missing = "kind" if not kind else "apiVersion"
        raise ConfigError("UnknownKind", f"the document has no {missing}", line=node.line)
    if version != API_VERSION or kind == V1ALPHA1:
        raise ConfigError("UnknownKind", f"unknown document kind {kind!r} {version!r}", line=node.line)
    return kind, scalar_of(node, "name")


def scalar_of(node: MapNode, key: str) -> str:
    """The text under `key`, "" when there is none."""
    found = node.get(key)
    return getattr(found, "text", "") if found is not None and not is_null(found) else ""


def _check_rivals(documents: Sequence[Document]) -> None:
    taken = {(document.kind, document.name) for document in documents}
    for document in documents:
        for rival in model(ahead=True).rivals(document.kind):
            if (rival, document.name) in taken:
                message = f"{rival}/{document.name} has the same name; they exclude each other"
                raise ConfigError("Conflict", message, path=document.title)
