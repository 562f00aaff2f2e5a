"""What a rule file is once it is checked: frozen data with compiled values, nothing left to parse.

`load` makes it, `observe`, `decide`, `report` and `measure` read it. Never evaluates by itself, never
does I/O. Neighbours: `model_values` is what its values are, `model_metrics` what is measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from engine.base.fieldtree import FieldTree
from engine.base.kinds import Kind
from engine.base.values import Value
from engine.capabilities.contract import Capability
from engine.ruleset.model_metrics import MetricRule
from engine.ruleset.model_values import Connect, ForEach, Form, Position


@dataclass(frozen=True, slots=True, kw_only=True)
class KubeGet:
    """One object by name, from the cache; null when absent. No namespace: that of the object.

    `fields`: what the rule reads of it, whose changes wake the reader.
    """

    kind: Kind
    name: Form
    namespace: Form | None = None
    fields: FieldTree | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KubeList:
    """The objects whose dotted paths equal the given texts, ordered by name."""

    kind: Kind
    match: Mapping[str, Form]
    namespace: Form | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TalosRead:
    """A Talos method of effect read: the reply, or a list of replies for a server stream."""

    method: str
    request: Form | None
    connect: Connect
    fields: FieldTree | None
    limit: int = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class CosiRead:
    """COSI resources of a node: one `{metadata, spec}` (null when absent) or a list of them."""

    verb: Literal["get", "list"]
    type: str
    id: Form | None
    connect: Connect
    fields: FieldTree | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRead:
    """A capability of effect pure or read."""

    capability: Capability
    input: Form


Source = KubeGet | KubeList | TalosRead | CosiRead | CallRead


@dataclass(frozen=True, slots=True, kw_only=True)
class ObserveRule:
    """One named read. `pick` is evaluated with the raw answer as current value.

    With `for_each` the value is a list of {key, ok, value, error}, one an item.
    """

    name: str
    position: Position
    source: Source
    when: Form | None = None
    pick: Form | None = None
    tolerate: frozenset[str] = frozenset()
    for_each: ForEach | None = None
    deadline_s: float = 5.0


Owner = Literal["controller", "plain"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KubeStep:
    """One object to write in the object's own namespace.

    `body` holds the top-level parts besides metadata (`spec`, `data`, `stringData`, `type`);
    `owner` evaluates to "controller" or "plain".
    """

    verb: Literal["apply", "create", "patch", "delete"]
    kind: Kind
    name: Form
    owner: Form | None = None
    labels: Form | None = None
    annotations: Form | None = None
    annotations_at_creation: Form | None = None
    body: Mapping[str, Form] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TalosStep:
    """A Talos method that changes a node."""

    method: str
    request: Form | None
    connect: Connect


@dataclass(frozen=True, slots=True, kw_only=True)
class CallStep:
    """A capability of effect write, disruptive or irreversible."""

    capability: Capability
    input: Form


@dataclass(frozen=True, slots=True, kw_only=True)
class Prune:
    """Delete existing children that are not wanted: one at a time when `lane` is given.

    `item_name`: what `gate` calls the child that would go; it is asked of each.
    """

    item_name: str = ""
    gate: Form | None = None
    lane: Form | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildrenStep:
    """One child object for each item.

    An item whose key is null is unresolved: no child is made of it and nothing is pruned.
    `existing` names the children that are there (a list read). Gives
    `act.<id>.{wanted, unresolved, surplus}`: a list of names, a number, a list of names.
    """

    kind: Kind
    items: Form
    item_name: str
    key: Form
    name: Form
    owner: Form | None
    labels: Form | None
    annotations_at_creation: Form | None
    spec: Form
    existing: Form | None
    prune: Prune | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutStep:
    """Change outdated items a few at a time, each well again before the next.

    `in_flight` is asked of outdated items only. The latest time in `since` is when an item that takes
    a place began to; `because` is what keeps it. Gives `act.<id>.{outdated, inFlight, waiting,
    paused, stuck, reason, message}`: three numbers, two booleans, two texts.
    """

    items: Form
    item_name: str
    outdated: Form
    in_flight: Form
    healthy: Form | None
    last: Form | None
    gate: Form | None
    max_unavailable: Form | None
    stuck_after_s: float | None
    since: Form | None
    because: Form | None
    lane: Form | None
    do: KubeStep


StepBody = KubeStep | TalosStep | CallStep | ChildrenStep | RolloutStep


@dataclass(frozen=True, slots=True, kw_only=True)
class Once:
    """A write-ahead intent: `key` names it, `target` is chosen once and kept (`once.target`)."""

    key: Form
    target: Form | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventReasons:
    """Reasons of the Events a step sends; None: no event of that sort."""

    created: str | None = None
    updated: str | None = None
    failed: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of `act` or `finalize`. All of `when` must hold; Unknown blocks.

    `make` is computed just before sending, its result is `made` in the body. `already_done`:
    error codes that count as success. `record` remembers `sent.<id>` {at, key}. `job`: it runs beside the
    passes, and `job.<id>` tells how it stands.
    """

    id: str
    position: Position
    body: StepBody
    when: tuple[Form, ...] = ()
    why: Form | None = None
    event: EventReasons = EventReasons()
    make: CallRead | None = None
    for_each: ForEach | None = None
    once: Once | None = None
    lane: Form | None = None
    gate: Form | None = None
    hazard: Literal["disruptive", "irreversible"] | None = None
    record: Form | None = None
    until: Form | None = None
    deadline_s: float | None = None
    already_done: frozenset[str] = frozenset()
    job: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Unless:
    """One way in which a condition is False."""

    when: Form
    reason: Form
    message: Form | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionRule:
    """A condition. First true line of `unless` -> False, Unknown met first -> Unknown, none -> True.

    With `is_` that boolean decides instead. `when` false or Unknown-by-skipping: absent. `counts`: part of Ready unless it is false.
    """

    type: str
    position: Position
    when: Form | None = None
    unless: tuple[Unless, ...] = ()
    is_: Form | None = None
    reason: Form | None = None
    message: Form | None = None
    counts: Form | None = None
    event: Literal["normal", "warning"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRule:
    """Something that is told in each pass of `mode` in which `when` holds, after its status was written."""

    reason: str
    position: Position
    when: Form
    message: Form
    type: Literal["normal", "warning"] = "normal"
    mode: Literal["act", "dryrun", "nothing"] = "act"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finalize:
    """What happens before an object may go. `name` is the finalizer; steps run strictly in order."""

    name: Form
    position: Position
    timeout_s: float | None = None
    on_timeout: Literal["block", "release"] = "block"
    skip_when: Form | None = None
    observe: tuple[ObserveRule, ...] = ()
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Delay after a failed pass: doubles from `initial_s` to `max_s`."""

    initial_s: float = 1.0
    max_s: float = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRule:
    """A resource of the object's machine, or all of a type, whose change has the object looked at at once."""

    verb: Literal["get", "list"]
    type: str
    id: Form | None = None
    when: Form | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """The behaviour of one kind. `controller` is its lower-case kind, as metrics and logs say it."""

    controller: str
    kind: Kind
    file: str
    digest: str
    where: Form | None = None
    mode: Form | None = None
    every: Form | None = None
    """Seconds (number or text such as `60s`) until the next look; asked at the end of a pass."""
    backoff: Backoff = Backoff()
    serialize: Form | None = None
    streams: tuple[StreamRule, ...] = ()
    connect: Connect | None = None
    """How the machine of `streams` is reached."""
    let: Mapping[str, Form] = field(default_factory=dict)
    observe: tuple[ObserveRule, ...] = ()
    act: tuple[Step, ...] = ()
    conditions: tuple[ConditionRule, ...] = ()
    events: tuple[EventRule, ...] = ()
    status: Mapping[str, Form] = field(default_factory=dict)
    metrics: tuple[MetricRule, ...] = ()
    finalize: Finalize | None = None
    remembers: frozenset[str] | None = frozenset()
    """The fields of its own status that the rule reads, None for all: only their change is worth another look."""
    crd: Mapping[str, Value] | None = None
    """The CustomResourceDefinition made from `for.schema`, for a kind that has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSet:
    """Everything loaded together. `kinds`: every kind that the rules read or write, own ones included.

    `operations`: the Talos calls the rules may make, as `Service/Method`, for metrics that start at 0.
    """

    rules: Mapping[Kind, Rule]
    engine_metrics: tuple[MetricRule, ...]
    kinds: frozenset[Kind]
    on_demand: frozenset[Kind]
    operations: tuple[str, ...]
    digest: str
