"""The one place that imports PyYAML: its C parser, as events, and its writer of plain values.

Never constructs values by itself; never resolves scalars. Neighbours: `yamlnodes` reads with it, the
command line writes with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml
from yaml import YAMLError
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

__all__ = [
    "AliasEvent",
    "DocumentStartEvent",
    "MappingEndEvent",
    "MappingStartEvent",
    "ScalarEvent",
    "SequenceEndEvent",
    "SequenceStartEvent",
    "YAMLError",
    "dump",
    "load_documents",
    "parse_events",
]


def parse_events(text: str) -> Iterator[Any]:
    """The events of a YAML stream, read by libyaml. Raises YAMLError at the first mistake of syntax."""
    return iter(yaml.CBaseLoader(text).get_event, None)


def dump(value: Any) -> str:
    """Plain values (JSON's) as one YAML document, keys in their order."""
    return str(yaml.dump(value, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True, width=110))


def load_documents(text: str) -> list[Any]:
    """The documents of a YAML stream as plain values, empty ones left out. Raises YAMLError."""
    documents = yaml.load_all(text, Loader=yaml.CSafeLoader)
    return [document for document in documents if document is not None]
