"""A dashboard as data, between what people write and what Grafana reads. Only data.

Neighbours: `sources` and `custommetrics` make it, `grafana` writes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

PanelType = Literal["stat", "timeseries", "gauge", "table", "state-timeline"]


@dataclass(frozen=True, slots=True)
class Variable:
    """A choice at the top: the values that `label` has in the series that `selector` selects."""

    name: str
    title: str
    selector: str
    label: str


@dataclass(frozen=True, slots=True)
class Target:
    """One query of a panel; `legend` is Grafana's template, "" for its own."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One panel. `thresholds`: from which value on which colour. `words`: values that are shown as words.

    `columns`: label -> title of a table's columns, in order. `link`: uid of the dashboard that tells more. `choose`: what a
    click on a series chooses at the top, variable -> label. `width` and `height` in Grafana's grid of 24.
    """

    title: str
    description: str
    type: PanelType
    unit: str
    targets: tuple[Target, ...]
    width: int = 12
    height: int = 8
    decimals: int | None = None
    min: float | None = None
    max: float | None = None
    stacked: bool = False
    thresholds: tuple[tuple[float, str], ...] = ()
    words: Mapping[int, str] | None = None
    columns: Mapping[str, str] | None = None
    link: str = ""
    choose: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under one heading."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """A whole dashboard. `jobs` names the metric whose jobs and instances may be chosen."""

    uid: str
    title: str
    description: str
    jobs: str
    variables: tuple[Variable, ...] = ()
    rows: tuple[Row, ...] = ()
