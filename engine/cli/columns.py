"""The columns in which an object is shown, as its CustomResourceDefinition declares them.

Understands the paths that such columns use: fields, indices and one filter by equality. Pure. Neighbour:
`get` fetches the objects.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from engine.base.timestamps import epoch
from engine.cli.text import age

_STEP: Final = re.compile(
    r"""\.(?P<field>(?:\\.|[^.\[\]\\])+)
      | \[(?P<index>\d+)\]
      | \['(?P<quoted>[^']+)'\]
      | \[\?\(@\.(?P<key>\w+)\s*==\s*(?P<mark>["'])(?P<value>[^"']*)(?P=mark)\)\]""",
    re.VERBOSE,
)
NONE: Final = "<none>"


@dataclass(frozen=True, slots=True)
class Column:
    """One column: `type` is the definition's, `date` shows an age."""

    name: str
    path: str
    type: str = "string"

    def text(self, thing: Mapping[str, Any], now: float) -> str:
        """What stands in this column for one object."""
        value = find(thing, self.path)
        if value is None:
            return NONE
        if self.type == "date":
            return age(now - epoch(str(value)))
        return str(value).lower() if isinstance(value, bool) else str(value)


READY: Final = Column("Ready", '.status.conditions[?(@.type=="Ready")].status')
REASON: Final = Column("Reason", '.status.conditions[?(@.type=="Ready")].reason')
AGE: Final = Column("Age", ".metadata.creationTimestamp", "date")


def columns_of(definition: Mapping[str, Any], version: str) -> list[Column]:
    """The declared columns of a version, then readiness and its reason, then the age."""
    declared = [
        Column(column["name"], column["jsonPath"], column["type"])
        for found in definition["spec"]["versions"]
        if found["name"] == version
        for column in found.get("additionalPrinterColumns", ())
        if not column.get("priority")
    ]
    named = {column.name for column in declared}
    middle = [column for column in declared if column.name != AGE.name]
    return [*middle, *(column for column in (READY, REASON) if column.name not in named), AGE]


def find(thing: Any, path: str) -> Any:
    """The value at a column's path; None where there is none or the path is not of the known form."""
    position = 0
    while position < len(path):
        step = _STEP.match(path, position)
        if step is None:
            return None
        thing = _take(thing, step)
        if thing is None:
            return None
        position = step.end()
    return thing


def _take(thing: Any, step: re.Match[str]) -> Any:
    if isinstance(thing, Mapping):
        name = step["quoted"] or (step["field"] or "").replace("\\", "")
        return thing.get(name)
    if not isinstance(thing, list):
        return None
    if step["index"] is not None:
        return thing[int(step["index"])] if int(step["index"]) < len(thing) else None
    return next((item for item in thing if step["key"] and item.get(step["key"]) == step["value"]), None)
