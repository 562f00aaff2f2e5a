"""Evaluate metric rules to samples: gauges that describe an object, events that are counted.

A label or value without an answer drops that series, it is never guessed. Pure. Neighbours:
`evaluate` gives the names, `measure` hands the samples to the series.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping

from engine.base.errors import ExpressionError
from engine.base.model import JobState, Outcome, Sample
from engine.base.values import Unknown, Value
from engine.evaluate import Evaluation, job_result
from engine.exposition import Labels
from engine.expr import Scope
from engine.ruleset.model import Rule
from engine.ruleset.model_metrics import MetricRule

_EVENT_RESULT = {"failed": "error", "waiting": "waiting"}


def gauges(rule: Rule, names: Evaluation) -> list[Sample]:
    """The samples that describe the object as this pass saw it."""
    samples: list[Sample] = []
    for metric in rule.metrics:
        if metric.on is None:
            samples.extend(_samples(metric, names.scope))
    return samples


def events(
    rule: Rule,
    names: Evaluation,
    outcomes: Iterable[Outcome],
    ended: Iterable[tuple[str, JobState]] = (),
) -> Iterator[tuple[MetricRule, Sample, str | None]]:
    """One sample for each outcome, and each job that ended, that a metric of the rule waits for.

    With it the name of the object that the series lives with, None: as long as the engine.
    """
    waiting = [metric for metric in rule.metrics if metric.on is not None]
    if not waiting:
        return
    told: list[tuple[str, Mapping[str, Value]]] = [
        (f"act.{item.id}", {"result": _EVENT_RESULT.get(item.status, "success"), "seconds": item.seconds})
        for item in outcomes
    ]
    told += [
        (f"job.{step}.ended", {**job_result(state), "ok": state.phase == "ended"}) for step, state in ended
    ]
    for name, event in told:
        scope = names.scope.child({"event": event})
        for metric in waiting:
            if metric.on == name:
                holder = _holder(metric, scope)
                yield from ((metric, sample, holder) for sample in _samples(metric, scope))


def starts(rule: Rule, names: Evaluation) -> Iterator[tuple[MetricRule, Labels, str | None]]:
    """The series of an object that are there before anything is counted: `start` names some of their labels.

    The others are those of the object; a series of which one cannot be told is left out. With each the name of the
    object that it lives with, as in `events`. Where `start` names all labels the series are the engine's own.
    """
    for metric in rule.metrics:
        if metric.on is None or not metric.start or metric.start.keys() == metric.labels.keys():
            continue
        try:
            begun = tuple(starting_labels(metric, names.scope))
            holder = _holder(metric, names.scope)
        except ExpressionError:
            continue
        yield from ((metric, labels, holder) for labels in begun)


def starting_labels(metric: MetricRule, scope: Scope) -> Iterator[Labels]:
    """Every combination of the values that the labels of a family may have at the start."""
    choices = [_choices(metric, label, scope) for label in metric.labels]
    for values in itertools.product(*choices):
        yield tuple(zip(metric.labels, values, strict=True))


def _choices(metric: MetricRule, label: str, scope: Scope) -> list[str]:
    """The values that a label may have at the start; none when nobody can tell."""
    found = metric.start.get(label, metric.labels[label]).evaluate(scope)
    values = found if isinstance(found, list) else [found]
    return [str(value) for value in values if value is not None and not isinstance(value, Unknown)]


def _holder(metric: MetricRule, scope: Scope) -> str | None:
    """The name of the object that a series lives with; "": the object it tells of."""
    if metric.lives_with is None:
        return None
    name = metric.lives_with.name.evaluate(scope)
    return "" if name is None or isinstance(name, Unknown) else str(name)


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
