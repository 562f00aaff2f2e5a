"""What the checks look at: each place of a rule with its forms, their roles and what they may read.

A Unit is one let, read, step, condition, status field or metric. Compiling makes units beside the
model, so that names, types and safety are checked over one list. Only data. Neighbours: the
`compile_*` modules make units, `names`, `conform` and `safety` read them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

from engine.base.model import JobPhase
from engine.base.yamlnodes import MapNode, Node
from engine.capabilities.contract import Effect
from engine.ruleset.forms import Compiled

Schema = Mapping[str, Any]

Role = Literal[
    "value", "when", "gate", "test", "until", "items", "key", "text", "with", "request", "body", "name", "make",
    "connect", "identity", "once", "lane", "status", "label", "pick", "guard",
]  # fmt: skip
"""`test` is any boolean besides the guards of a step: `is`, `inFlight`, `where` and so on."""

UnitSort = Literal["let", "obs", "act", "final", "cond", "event", "status", "metric", "rule"]


@dataclass(frozen=True, slots=True, eq=False)
class Use:
    """One form in one role. `schema`: the type it must have; `opaque`: whether a secret may go there."""

    form: Compiled
    role: Role
    schema: Schema | None = None
    opaque: bool = False
    made: bool = False
    once: bool = False
    partial: bool = False
    """Whether required keys may be missing, as in a patch."""
    locals: bool = True
    """Whether the unit's own item names are visible here (the list of items itself sees none)."""
    guards: tuple[tuple[Compiled, bool], ...] = ()
    """Tests that surely came out so when this form is evaluated."""


@dataclass(slots=True, eq=False)
class Unit:
    """One place of a rule. `name` is as expressions say it where they can (`let.x`, `obs.x`, `act.x`)."""

    sort: UnitSort
    name: str
    node: Node
    uses: list[Use] = field(default_factory=list)
    locals: dict[str, Compiled] = field(default_factory=dict)
    event: Mapping[str, Schema] | None = None
    self_only: bool = False
    step: StepFacts | None = None
    made_schema: Schema | None = None
    value_schema: Schema | None = None
    """For a read: the type of the raw answer. For a step: that of `act.<id>`."""
    pick: Compiled | None = None
    for_each: bool = False
    present: Compiled | None = None
    """A form that is not null wherever the item of this unit is looked at."""
    pruned: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class StepFacts:
    """What the safety rules ask of a step. `node` is its map; `effect` what its method or capability does."""

    node: MapNode
    effect: Effect
    method: str = ""
    has_gate: bool = False
    has_lane: bool = False
    has_once: bool = False
    hazard: str = ""
    job: Schema | None = None
    """What a job gives; None: the step is no job."""


ACT_RESULT: Final[Schema] = {
    "type": "object",
    "properties": {
        "phase": {"type": "string", "enum": ["do", "done", "skipped", "blocked", "waiting", "failed"]},
        "done": {"type": "boolean"},
        "failed": {"type": "boolean"},
        "changed": {"type": "integer"},
        "reason": {"type": "string"},
        "error": {
            "type": "object",
            "nullable": True,
            "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
            "required": ["code", "message"],
        },
    },
    "required": ["phase", "done", "failed", "changed", "reason"],
}


def _job_result(output: Schema) -> dict[str, Schema]:
    """The types of what `engine.evaluate.job_result` tells."""
    return {
        "error": {"type": "string", "nullable": True},
        "code": {"type": "string", "nullable": True},
        "output": {**output, "nullable": True},
        "seconds": {"type": "number"},
    }


def job_schema(output: Schema) -> Schema:
    """The type of `job.<id>`; `output` is what its capability gives."""
    return {
        "type": "object",
        "properties": {
            **_job_result(output),
            "phase": {"type": "string", "enum": list(get_args(JobPhase))},
            "failures": {"type": "integer"},
        },
        "required": ["phase", "seconds", "failures"],
    }


def ended_event(output: Schema) -> Mapping[str, Schema]:
    """The fields of `event` when a job has ended."""
    return {**_job_result(output), "ok": {"type": "boolean"}}


_TEXTS: Final[Schema] = {"type": "array", "items": {"type": "string"}}


def act_schema(extra: Mapping[str, Schema]) -> Schema:
    """The type of `act.<id>` with the fields that a noun adds."""
    properties = {**ACT_RESULT["properties"], **extra}
    return {"type": "object", "properties": properties, "required": [*ACT_RESULT["required"], *extra]}


CHILDREN_FIELDS: Final[Mapping[str, Schema]] = {
    "wanted": _TEXTS,
    "unresolved": {"type": "integer"},
    "surplus": _TEXTS,
}
ROLLOUT_FIELDS: Final[Mapping[str, Schema]] = {
    "outdated": {"type": "integer"},
    "inFlight": {"type": "integer"},
    "waiting": {"type": "integer"},
    "paused": {"type": "boolean"},
    "stuck": {"type": "boolean"},
    "reason": {"type": "string"},
    "message": {"type": "string"},
}
