"""What a checked rule says about metrics. Only data. Neighbours: `compile_metrics` makes it, `measure` reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from engine.base.kinds import Kind
from engine.ruleset.model_values import ForEach, Form, Position

MetricType = Literal["gauge", "counter", "histogram"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LivesWith:
    """The object that counted series live with, in the namespace of the object they tell of; null: with that one."""

    kind: Kind
    name: Form


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricRule:
    """One metric family. `on`: an event (`act.<id>`, `job.<id>.ended`, or `pass` / `call` in engine.yaml) that counts."""

    name: str
    type: MetricType
    help: str
    position: Position
    labels: Mapping[str, Form]
    value: Form | None = None
    each: ForEach | None = None
    on: str | None = None
    when: Form | None = None
    buckets: tuple[float, ...] = ()
    start: Mapping[str, Form] = field(default_factory=dict)
    aggregate: Literal["sum"] | None = None
    lives_with: LivesWith | None = None
    max_series: int = 10_000
