"""The one place that imports PyYAML: its C parser, as events.

Never constructs values by itself; never resolves scalars. Neighbour: `yamlnodes`.
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
    "parse_events",
]


def parse_events(text: str) -> Iterator[Any]:
    """The events of a YAML stream, read by libyaml. Raises YAMLError at the first mistake of syntax."""
    return iter(yaml.parse(text, Loader=yaml.CSafeLoader))
