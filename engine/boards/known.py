"""The series that a Prometheus finds at the engine: declared by rules, told by the process, added by the scrape.

Pure but for asking the process for its own names. Never invents a metric. Neighbours: `check` compares
queries with it, `ruleset` gives the rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from engine.process_metrics import process_text
from engine.ruleset.model import RuleSet
from engine.ruleset.model_metrics import MetricRule

TARGET_LABELS: Final = frozenset(
    {"job", "instance", "namespace", "pod", "service", "container", "endpoint", "exported_namespace"}
)
"""What a scrape may add to every series. With honorLabels false an object's namespace becomes exported_namespace."""
_SCRAPE: Final = {"up": frozenset[str](), "scrape_duration_seconds": frozenset[str]()}
_ALERTS: Final = {"ALERTS": frozenset({"alertname", "alertstate", "severity"})}
_TYPE: Final = re.compile(r"^# TYPE (\S+) (\S+)$", re.MULTILINE)
_HELP: Final = re.compile(r"^# HELP (\S+) (.+)$", re.MULTILINE)
_LABELS: Final = re.compile(r"^(\w+)\{([^}]*)\}", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Series:
    """One name that a query may select. `type` is its own, `help` its family's; `labels` without those of the target."""

    name: str
    type: str
    labels: frozenset[str]
    help: str = ""


def known_series(rules: RuleSet) -> Mapping[str, Series]:
    """Every series there can be by its name; a histogram has three."""
    found = [series for metric in declared(rules).values() for series in _of_metric(metric)]
    return {series.name: series for series in (*found, *_of_process(), *_of_scrape())}


def declared(rules: RuleSet) -> Mapping[str, MetricRule]:
    """The metrics of the rules by name, in the order of their names; several rules may share one."""
    every = [*rules.engine_metrics, *(item for rule in rules.rules.values() for item in rule.metrics)]
    return {metric.name: metric for metric in sorted(every, key=lambda metric: metric.name)}


def _of_metric(metric: MetricRule) -> Iterator[Series]:
    plain = Series(metric.name, metric.type, frozenset(metric.labels), metric.help)
    if metric.type != "histogram":
        yield plain
        return
    yield replace(plain, name=f"{metric.name}_bucket", labels=plain.labels | {"le"})
    yield replace(plain, name=f"{metric.name}_sum", type="counter")
    yield replace(plain, name=f"{metric.name}_count", type="counter")


def _of_process() -> Iterator[Series]:
    text = process_text()("text").decode()
    labels = {
        name: frozenset(re.findall(r"(\w+)=", inside)) - {"le"} for name, inside in _LABELS.findall(text)
    }
    helps = dict(_HELP.findall(text))
    for name, kind in _TYPE.findall(text):
        yield Series(name, kind, labels.get(name, frozenset()), helps.get(name, ""))


def _of_scrape() -> Iterator[Series]:
    for name, labels in {**_SCRAPE, **_ALERTS}.items():
        yield Series(name, "gauge", labels)
