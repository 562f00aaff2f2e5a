"""Evaluate metric rules to samples: gauges that describe an object, events that are counted.

A label or value without an answer drops that series, it is never guessed. Pure. Neighbours:
`evaluate` gives the names, `measure` hands the samples to the series.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from engine.base.errors import ExpressionError
from engine.base.model import Outcome, Sample
from engine.base.values import Unknown, Value
from engine.evaluate import Evaluation
from engine.expr import Scope
from engine.ruleset.model import MetricRule, Rule

_EVENT_RESULT = {"failed": "error", "waiting": "waiting"}


def gauges(rule: Rule, names: Evaluation) -> list[Sample]:
    """The samples that describe the object as this pass saw it."""
    samples: list[Sample] = []
    for metric in rule.metrics:
        if metric.on is None:
            samples.extend(_samples(metric, names.scope))
    return samples


def events(rule: Rule, names: Evaluation, outcomes: Iterable[Outcome]) -> Iterator[tuple[MetricRule, Sample]]:
    """One sample for each outcome that a counter or histogram of the rule waits for."""
    waiting = [metric for metric in rule.metrics if metric.on is not None]
    if not waiting:
        return
    for outcome in outcomes:
        event = {"result": _EVENT_RESULT.get(outcome.status, "success"), "seconds": outcome.seconds}
        scope = names.scope.child({"event": event})
        for metric in waiting:
            if metric.on == f"act.{outcome.id}":
                yield from ((metric, sample) for sample in _samples(metric, scope))


def engine_events(
    metrics: Iterable[MetricRule], event: Mapping[str, Value], engine: Mapping[str, Value]
) -> Iterator[tuple[MetricRule, Sample]]:
    """The samples that metrics give for one event of the engine itself (`pass`, `call`, ...)."""
    scope = Scope({"event": event, "engine": engine})
    for metric in metrics:
        yield from ((metric, sample) for sample in _samples(metric, scope))


def engine_gauges(metrics: Iterable[MetricRule], engine: Mapping[str, Value]) -> list[Sample]:
    """The gauges that the engine has of itself at this moment."""
    scope = Scope({"engine": engine})
    return [sample for metric in metrics if metric.on is None for sample in _samples(metric, scope)]


def _samples(metric: MetricRule, scope: Scope) -> Iterator[Sample]:
    if metric.each is None:
        sample = _sample(metric, scope)
        if sample is not None:
            yield sample
        return
    try:
        items = metric.each.items.evaluate(scope)
    except ExpressionError:
        return
    if not isinstance(items, list):
        return
    for item in items:
        sample = _sample(metric, scope.child({metric.each.name: item}))
        if sample is not None:
            yield sample


def _sample(metric: MetricRule, scope: Scope) -> Sample | None:
    try:
        if metric.when is not None and metric.when.evaluate(scope) is not True:
            return None
        labels = []
        for label, form in metric.labels.items():
            text = form.evaluate(scope)
            if text is None or isinstance(text, Unknown):
                return None
            labels.append((label, str(text)))
        value = 1.0 if metric.value is None else metric.value.evaluate(scope)
    except ExpressionError:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return Sample(metric.name, tuple(labels), float(value))
