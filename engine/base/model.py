"""What flows through the spine: Snapshot -> Plan -> Outcomes -> Samples.

Frozen data only: a Plan can be printed, compared, replayed. Nothing here decides, reads a
clock or does I/O. Neighbours: observe makes a Snapshot, decide a Plan, act Outcomes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from engine.base.errors import RemoteError
from engine.base.kinds import Key, Kind
from engine.base.values import Opaque, Value

ObservedStatus = Literal["value", "tolerated", "error", "skipped"]


@dataclass(frozen=True, slots=True)
class Observed:
    """How one read ended. `code` and `message` tell of a tolerated or real error."""

    status: ObservedStatus
    value: Value = None
    code: str = ""
    message: str = ""


JobPhase = Literal["none", "running", "failed", "ended"]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobState:
    """How the job of one step stands. Times are seconds since the epoch, `seconds` is how long it ran.

    `failures` in a row so far; one that failed or ended is not begun again before `again_at`.
    """

    phase: JobPhase
    since: float = 0.0
    failures: int = 0
    error: str = ""
    code: str = ""
    output: Value = None
    seconds: float = 0.0
    again_at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One object and everything its rule read about it, at `now` (seconds since the epoch).

    `jobs` are those of the object that were begun, by step.
    """

    key: Key
    object: Mapping[str, Any]
    observed: Mapping[str, Observed]
    now: float
    jobs: Mapping[str, JobState] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Made:
    """Stands in a planned body for a value that `make` gives just before sending."""

    name: str

    def __repr__(self) -> str:
        return "(known after act)"


@dataclass(frozen=True, slots=True, kw_only=True)
class KubeWrite:
    """One write of an API object. `manifest` is the whole wanted content; patches hold the change."""

    verb: Literal["apply", "create", "patch", "delete"]
    target: Key
    manifest: Mapping[str, Any] = field(default_factory=dict)
    annotations_at_creation: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TalosCall:
    """One Talos method that changes a node. `identity` None: maintenance mode."""

    method: str
    address: str
    identity: Opaque | None
    request: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class CapabilityCall:
    """One capability with its input."""

    name: str
    input: Mapping[str, Any]


Effect = KubeWrite | TalosCall | CapabilityCall


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """The write-ahead record of an effect that must happen once, kept in `status.intents`."""

    key: str
    target: str
    attempt: int
    at: float
    done: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One place for a disruptive effect; `holder` is the object that is disturbed."""

    name: str
    holder: Key


Phase = Literal["do", "done", "skipped", "blocked", "waiting"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStep:
    """What is to be done about one step (or one item of it), and why.

    `phase`: do (execute `effect`), done (its `until` holds), skipped (`when` is false), blocked
    (something it needs is unknown), waiting (a gate, lane or budget is closed). `reason` says which.
    """

    id: str
    phase: Phase
    item: str = ""
    reason: str = ""
    why: str = ""
    effect: Effect | None = None
    make: CapabilityCall | None = None
    once: Intent | None = None
    lane: Lane | None = None
    release: Lane | None = None
    record: str | None = None
    irreversible: bool = False
    job: bool = False
    """Whether `effect` runs beside the passes."""
    closes: bool = False
    """Whether success is the end of its intent: it has no `until` that could tell."""


Mode = Literal["act", "dryrun", "nothing"]
FinalizerChange = Literal["add", "remove"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything one pass wants to change. `results` is what `act.<id>` reads, by step id."""

    key: Key
    mode: Mode
    steps: tuple[PlannedStep, ...] = ()
    results: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)
    finalizer: str = ""
    finalizer_change: FinalizerChange | None = None
    note: str = ""
    """Why the finalizer goes without its work done; becomes an event."""


OutcomeStatus = Literal["created", "updated", "deleted", "unchanged", "sent", "would", "waiting", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one executed step ended. `result` is what a capability gave back."""

    id: str
    item: str
    status: OutcomeStatus
    message: str = ""
    error: RemoteError | None = None
    result: Value = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One condition of an object as this pass sees it."""

    type: str
    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str
    counts: bool = True


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of one series."""

    family: str
    labels: tuple[tuple[str, str], ...]
    value: float


@dataclass(frozen=True, slots=True)
class KindMatch:
    """A list read: a reader of it wakes when an object of the kind in the namespace changes that matches.

    `match`: dotted path -> the text that has to be there, before the change or after it.
    """

    kind: Kind
    namespace: str
    match: tuple[tuple[str, str], ...] = ()
